-- a member that no row uses goes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'green', 'blue') NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 2);
