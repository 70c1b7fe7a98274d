-- floating-point numbers, one of which gets more digits
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  f FLOAT NOT NULL,
  d DOUBLE NOT NULL,
  v INT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} / 3, {n} / 7e100, NULL);
