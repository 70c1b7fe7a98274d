-- text becomes an ENUM that has a member for each
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, ELT(1 + {n} MOD 3, 'red', 'green', 'blue'));
