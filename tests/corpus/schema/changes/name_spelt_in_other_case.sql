-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY k (a));
-- branch
ALTER TABLE t CHANGE a A INT;
-- expect proved
-- plan CHANGE COLUMN `a` `A`
