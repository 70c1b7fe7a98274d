-- numbers become JSON
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  j INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
