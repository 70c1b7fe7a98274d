-- a new unique key while two rows exchange its values in one transaction
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u INT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 5000);
