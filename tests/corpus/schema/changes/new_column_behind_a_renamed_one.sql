-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, z INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b, ADD COLUMN c INT AFTER b;
-- expect proved
-- plan RENAME COLUMN `a` TO `b`, ADD COLUMN `c`
