-- columns that SELECT * does not show
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  hidden INT NOT NULL DEFAULT 5 INVISIBLE
);
-- rows 300
INSERT INTO t (id, v, hidden) VALUES ({n}, {n}, {n} + 3);
