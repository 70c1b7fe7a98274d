-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
-- branch
ALTER TABLE t ADD COLUMN b INT FIRST;
-- production
ALTER TABLE t ADD COLUMN a INT;
-- expect ok
