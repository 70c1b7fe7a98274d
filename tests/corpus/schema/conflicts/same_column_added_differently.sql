-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
ALTER TABLE t ADD COLUMN v INT;
-- production
ALTER TABLE t ADD COLUMN v BIGINT;
-- expect conflict
-- reason each added column v
