-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE u (id INT PRIMARY KEY);
-- branch
ALTER TABLE t ADD COLUMN m INT;
-- production
DROP TABLE t;
-- expect conflict
