-- a column of bits grows while it is written
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  flags BIT(8) NOT NULL,
  wide BIT(64) NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} MOD 256, {n} * 1000000007);
