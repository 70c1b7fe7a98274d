-- an ENUM becomes text
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'dark green', 'blü') CHARACTER SET utf8mb4 NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 3);
