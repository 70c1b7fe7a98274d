-- members of a SET change places
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s SET('a', 'b', 'c') NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n} MOD 8);
