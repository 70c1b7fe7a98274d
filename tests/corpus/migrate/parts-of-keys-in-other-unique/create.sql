-- a part of the key belongs to another unique key, too, and a dropped column must follow rows along both
CREATE TABLE t (
  a INT NOT NULL,
  b INT NOT NULL,
  c INT NOT NULL,
  gone INT NOT NULL DEFAULT 8,
  PRIMARY KEY (a, b),
  UNIQUE KEY bc (b, c)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n} % 5, {n}, {n});
