-- NULL is no longer allowed, and one row has it
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
UPDATE t SET v = NULL WHERE id = 155;
