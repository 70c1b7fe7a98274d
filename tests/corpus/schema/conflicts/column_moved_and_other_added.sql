-- base
CREATE TABLE t (a INT, b INT, c INT);
-- branch
ALTER TABLE t MODIFY c INT FIRST;
-- production
ALTER TABLE t ADD COLUMN d INT AFTER b;
-- expect ok
