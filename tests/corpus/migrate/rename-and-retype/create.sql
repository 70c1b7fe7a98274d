-- a column gets another name and another type
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  amount INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n});
