-- an index over words is added
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v TEXT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 'some words and row {n}');
