-- numbers of every kind become JSON, as their texts are read
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u INT UNSIGNED NOT NULL,
  d DECIMAL(20,4) NULL,
  f DOUBLE NOT NULL,
  y YEAR NOT NULL
);
-- rows 200
INSERT INTO t VALUES ({n}, 4294967295 - {n}, {n}.5, {n} / 7, 1990 + {n} % 50);
INSERT INTO t VALUES (0, 0, NULL, -1e300, 2155), (-1, 2147483648, -0.0001, 0.1, 1901);
