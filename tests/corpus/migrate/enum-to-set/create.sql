-- an ENUM becomes a SET
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('a', 'b', 'c') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 3);
