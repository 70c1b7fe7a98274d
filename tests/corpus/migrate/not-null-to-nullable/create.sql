-- NULL is allowed from now on
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  w VARCHAR(20) NOT NULL DEFAULT 'x'
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, '');
