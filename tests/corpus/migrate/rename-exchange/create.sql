-- two columns exchange their names
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  b INT NOT NULL,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n}, -{n}, 0);
