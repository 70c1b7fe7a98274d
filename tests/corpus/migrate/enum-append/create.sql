-- an ENUM gets one more member at its end
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'green', 'blue') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 3);
