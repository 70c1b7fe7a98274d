-- a column dropped and added under its name keeps its values: schemas are compared, not statements
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NULL,
  w INT NOT NULL DEFAULT 1
);
-- rows 400
INSERT INTO t VALUES ({n}, {n}, {n});
