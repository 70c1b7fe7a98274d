-- several indexes come and go
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NULL,
  b VARCHAR(50) NOT NULL,
  KEY a (a)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} MOD 50, 'row {n}');
