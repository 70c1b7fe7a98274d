-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT);
-- branch
ALTER TABLE t DROP COLUMN c;
-- production
ALTER TABLE t ADD KEY k (a, c);
-- expect conflict
