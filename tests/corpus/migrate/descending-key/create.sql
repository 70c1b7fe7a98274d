-- a key that runs backwards
CREATE TABLE t (
  a INT NOT NULL,
  b INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (a DESC, b DESC)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} MOD 4, {n});
