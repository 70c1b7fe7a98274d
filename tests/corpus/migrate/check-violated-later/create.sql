-- clients write what the new condition forbids while the rows are copied
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
