-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT, m INT);
-- branch
ALTER TABLE t ADD COLUMN b INT AFTER n;
-- production
ALTER TABLE t DROP COLUMN n;
-- expect ok
