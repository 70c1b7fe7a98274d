-- the only unique key may be NULL
CREATE TABLE t (
  id INT NULL,
  v INT NOT NULL,
  UNIQUE KEY id (id)
);
-- rows 100
INSERT INTO t VALUES ({n}, {n});
