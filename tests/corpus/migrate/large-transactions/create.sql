-- clients change hundreds of rows at once
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  u INT NULL,
  UNIQUE KEY u (u)
);
-- rows 1500
INSERT INTO t VALUES ({n}, {n}, {n});
