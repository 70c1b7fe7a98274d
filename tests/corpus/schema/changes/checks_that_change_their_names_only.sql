-- base
CREATE TABLE t (a INT, CONSTRAINT one CHECK (a > 0));
-- branch
ALTER TABLE t DROP CONSTRAINT one;
ALTER TABLE t ADD CONSTRAINT two CHECK (a > 0);
-- expect nothing
