-- base
CREATE TABLE t (a INT, v INT AS (a + 1) VIRTUAL, KEY k (v));
-- branch
ALTER TABLE t DROP KEY k, DROP COLUMN v, ADD COLUMN v INT AS (a + 1) STORED, ADD KEY k (v);
-- expect proved
-- plan DROP COLUMN `v`
