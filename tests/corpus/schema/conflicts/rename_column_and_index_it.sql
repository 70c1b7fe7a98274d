-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t ADD KEY by_a (a);
-- expect conflict
-- reason index by_a
