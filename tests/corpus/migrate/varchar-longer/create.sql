-- texts may be longer
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(20) NOT NULL,
  w TINYTEXT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, 'row {n}', NULL);
