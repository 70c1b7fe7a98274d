-- clients use two-phase transactions
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
