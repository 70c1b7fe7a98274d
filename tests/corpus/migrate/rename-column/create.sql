-- a column keeps its values under another name
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a VARCHAR(30) NOT NULL,
  v INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, 'row {n}', {n});
