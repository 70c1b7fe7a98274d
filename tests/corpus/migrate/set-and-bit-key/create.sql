-- a SET and bits in the key
CREATE TABLE t (
  s SET('a', 'b', 'c') NOT NULL,
  b BIT(12) NOT NULL,
  v INT NOT NULL,
  n INT NOT NULL,
  PRIMARY KEY (s, b),
  KEY n (n)
);
-- rows 500
INSERT INTO t VALUES ({n} MOD 8, {n}, {n}, {n});
