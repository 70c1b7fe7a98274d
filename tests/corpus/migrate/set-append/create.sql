-- a SET gets more members
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s SET('a', 'b', 'c') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n} MOD 8);
