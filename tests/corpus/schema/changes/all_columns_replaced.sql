-- base
CREATE TABLE t (a INT, b INT);
-- branch
ALTER TABLE t ADD COLUMN c INT, ADD COLUMN d INT, DROP COLUMN a, DROP COLUMN b;
-- expect proved
