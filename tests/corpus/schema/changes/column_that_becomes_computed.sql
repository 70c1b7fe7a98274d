-- base
CREATE TABLE t (a INT, v INT, s INT);
-- branch
ALTER TABLE t DROP COLUMN v, ADD COLUMN v INT AS (a + 1) VIRTUAL, MODIFY s INT AS (a + 2) STORED;
-- expect proved
