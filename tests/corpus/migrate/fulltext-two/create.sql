-- one index over words is there, a second one comes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v TEXT NOT NULL,
  w VARCHAR(200) NOT NULL,
  FULLTEXT KEY words (v)
);
-- rows 300
INSERT INTO t VALUES ({n}, 'some words and row {n}', 'more {n}');
