-- columns change places
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  b VARCHAR(20) NOT NULL,
  c INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 1, 'row {n}', -{n});
