-- a key of two columns
CREATE TABLE t (
  a SMALLINT NOT NULL,
  b INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (a, b)
);
-- rows 700
INSERT INTO t VALUES ({n} MOD 5, {n}, {n});
