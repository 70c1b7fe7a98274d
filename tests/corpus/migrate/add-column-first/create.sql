-- a new column before all others
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(30) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, 'row {n}');
