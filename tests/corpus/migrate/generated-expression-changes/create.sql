-- what a generated column is made of changes, and a unique key over it stays, while its base is written
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  w INT NOT NULL DEFAULT 1,
  total INT AS (v + w) STORED,
  label VARCHAR(30) AS (CONCAT(id, '/', v)) VIRTUAL,
  UNIQUE KEY label (label),
  KEY total (total)
);
-- rows 300
INSERT INTO t (id, v) VALUES ({n}, {n});
