-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY a (a));
-- branch
ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a;
-- production
ALTER TABLE t ADD COLUMN n INT;
-- expect ok
-- plan RENAME COLUMN `a` TO `b`
