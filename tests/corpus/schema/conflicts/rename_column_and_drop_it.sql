-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t DROP COLUMN a;
-- expect conflict
-- reason dropped or renamed it since
