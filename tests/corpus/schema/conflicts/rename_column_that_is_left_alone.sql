-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, n INT, KEY a (a));
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t ADD COLUMN m INT, ADD KEY n (n);
-- expect ok
-- plan RENAME COLUMN `a` TO `b`
