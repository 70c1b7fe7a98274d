-- a generated column reads the renamed one
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  g INT AS (a * 2) STORED,
  w INT AS (a + 1) VIRTUAL
);
-- rows 400
INSERT INTO t (id, a) VALUES ({n}, {n});
