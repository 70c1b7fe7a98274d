-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
ALTER TABLE t ADD COLUMN b INT, ADD COLUMN bb INT;
-- production
ALTER TABLE t ADD COLUMN a INT, ADD COLUMN aa INT;
-- expect ok
-- strict conflict
