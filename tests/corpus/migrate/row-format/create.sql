-- the rows are stored otherwise
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v TEXT NOT NULL
) ROW_FORMAT=DYNAMIC;
-- rows 300
INSERT INTO t VALUES ({n}, REPEAT('row {n} ', 100));
