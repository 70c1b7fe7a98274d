-- a new column that must have a value, and nothing says which
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 100
INSERT INTO t VALUES ({n}, {n});
