-- base
CREATE TABLE t (id INT PRIMARY KEY, c INT, d INT);
-- branch
ALTER TABLE t DROP COLUMN c;
-- production
ALTER TABLE t ADD CONSTRAINT k CHECK (c < d);
-- expect conflict
