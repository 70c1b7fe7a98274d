-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9) NOT NULL, KEY k (a, b));
-- branch
ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a;
-- expect proved
-- plan RENAME COLUMN `a` TO `b`, RENAME COLUMN `b` TO `a`
