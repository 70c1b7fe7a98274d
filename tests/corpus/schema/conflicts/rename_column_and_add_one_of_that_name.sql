-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t ADD COLUMN b INT;
-- expect conflict
-- reason added a column of that name
