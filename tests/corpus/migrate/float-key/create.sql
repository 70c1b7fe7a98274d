-- the only key is a floating-point number
CREATE TABLE t (
  id FLOAT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 100
INSERT INTO t VALUES ({n}, {n});
