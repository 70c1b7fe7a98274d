-- NULL is no longer allowed, and no row has it
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
