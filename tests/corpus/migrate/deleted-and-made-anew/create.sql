-- rows that are deleted and made anew, or moved where another was: none inherits a dropped column's value
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  gone INT NOT NULL DEFAULT 8
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, {n});
