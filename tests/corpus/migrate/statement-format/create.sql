-- a client logs statements instead of rows
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 2000
INSERT INTO t VALUES ({n}, {n});
