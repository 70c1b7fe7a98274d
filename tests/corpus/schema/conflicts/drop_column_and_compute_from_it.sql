-- base
CREATE TABLE t (id INT PRIMARY KEY, c INT);
-- branch
ALTER TABLE t DROP COLUMN c;
-- production
ALTER TABLE t ADD COLUMN g INT AS (c + 1);
-- expect conflict
