-- the key itself is renamed
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n});
