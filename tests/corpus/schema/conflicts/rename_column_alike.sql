-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t CHANGE a b INT;
-- expect nothing
