-- base
CREATE TABLE t (id INT NOT NULL, n INT NOT NULL, PRIMARY KEY (id));
-- branch
ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 2;
-- production
ALTER TABLE t ADD UNIQUE KEY u (n);
-- expect conflict
