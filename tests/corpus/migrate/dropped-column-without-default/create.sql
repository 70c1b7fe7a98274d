-- the dropped column had no default: rows that are there can go back
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  gone INT NOT NULL,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n} * 3, {n});
