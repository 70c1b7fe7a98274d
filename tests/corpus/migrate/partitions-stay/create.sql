-- a table in partitions
CREATE TABLE t (
  id INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY HASH (id) PARTITIONS 4;
-- rows 500
INSERT INTO t VALUES ({n}, {n});
