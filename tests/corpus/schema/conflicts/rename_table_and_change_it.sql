-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
RENAME TABLE t TO u;
-- production
ALTER TABLE t ADD COLUMN n INT;
-- expect conflict
-- reason renamed this table to 'u'
