-- one unique key goes, another one comes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  b INT NOT NULL,
  UNIQUE KEY a (a)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 10000, {n} + 20000);
