-- partitions are given up
CREATE TABLE t (
  id INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY KEY (id) PARTITIONS 3;
-- rows 500
INSERT INTO t VALUES ({n}, {n});
