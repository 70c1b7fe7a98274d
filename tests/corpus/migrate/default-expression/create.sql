-- a new column with a computed default
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
