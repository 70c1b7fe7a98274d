-- a new column of bits
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
