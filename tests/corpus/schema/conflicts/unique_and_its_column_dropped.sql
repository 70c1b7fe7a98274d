-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT);
-- branch
ALTER TABLE t ADD UNIQUE KEY u (a, b);
-- production
ALTER TABLE t DROP COLUMN b;
-- expect conflict
