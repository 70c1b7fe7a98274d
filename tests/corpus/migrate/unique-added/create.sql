-- a unique key is added, and all rows are fit for it
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u VARCHAR(30) NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, CONCAT('mail', {n}, '@example.org'));
