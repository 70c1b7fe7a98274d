-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
-- branch
ALTER TABLE t MODIFY n BIGINT;
-- production
ALTER TABLE t DROP COLUMN n;
-- expect conflict
-- reason column n
