-- one row has no place in the new partitions
CREATE TABLE t (
  id INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
INSERT INTO t VALUES (5000, 1);
