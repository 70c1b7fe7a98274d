-- a dropped column is part of an index
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NULL,
  b INT NOT NULL,
  KEY ab (a, b),
  KEY only_a (a)
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} MOD 7, {n});
