-- clients write duplicates while the rows are copied
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 5000);
