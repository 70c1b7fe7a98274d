-- stored and computed columns are made by the server
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  s INT AS (a * 2) STORED,
  w VARCHAR(20) AS (CONCAT('v', a)) VIRTUAL,
  KEY w (w)
);
-- rows 400
INSERT INTO t (id, a) VALUES ({n}, {n});
