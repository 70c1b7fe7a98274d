-- a key that runs backwards in one column and forwards in the other
CREATE TABLE t (
  a INT NOT NULL,
  b INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (a DESC, b)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} MOD 4, {n});
