-- the smallest table, rebuilt as it is
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 600
INSERT INTO t (id, v) VALUES ({n}, {n} * 2);
