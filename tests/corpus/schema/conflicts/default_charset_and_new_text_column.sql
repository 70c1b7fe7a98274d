-- base
CREATE TABLE t (id INT PRIMARY KEY) DEFAULT CHARSET=latin1;
-- branch
ALTER TABLE t DEFAULT CHARSET=utf8mb4;
-- production
ALTER TABLE t ADD COLUMN v VARCHAR(10);
-- expect conflict
-- reason default collation
