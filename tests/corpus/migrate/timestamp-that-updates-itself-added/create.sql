-- a new column that changes itself must not tell when the engine wrote
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t (id, v) VALUES ({n}, {n});
