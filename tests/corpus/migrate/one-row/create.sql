-- a single row, changed again and again
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
INSERT INTO t VALUES (1, 1);
