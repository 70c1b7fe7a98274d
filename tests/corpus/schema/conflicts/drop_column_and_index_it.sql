-- base
CREATE TABLE t (id INT PRIMARY KEY, c INT);
-- branch
ALTER TABLE t DROP COLUMN c;
-- production
ALTER TABLE t ADD KEY k (c);
-- expect conflict
-- reason c
