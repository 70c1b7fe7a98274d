-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
-- branch
ALTER TABLE t DROP COLUMN n;
-- production
ALTER TABLE t DROP COLUMN n;
-- expect nothing
