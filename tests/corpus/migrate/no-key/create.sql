-- a table without any unique key
CREATE TABLE t (
  id INT NOT NULL,
  v INT NOT NULL,
  KEY id (id)
);
-- rows 100
INSERT INTO t VALUES ({n}, {n});
