-- columns are renamed, added, dropped and moved at once
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a VARCHAR(30) NULL,
  b INT NOT NULL DEFAULT 2,
  c INT NOT NULL DEFAULT 3,
  d INT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, 'row {n}', {n}, {n} + 1, NULL);
