-- base
CREATE TABLE t (a INT);
-- branch
ALTER TABLE t ADD CONSTRAINT mine CHECK (a > 0);
-- production
ALTER TABLE t ADD CHECK (a > 0);
-- expect nothing
