-- the primary key loses a column that was not needed
CREATE TABLE t (
  id INT NOT NULL,
  i INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id, i)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} MOD 3, {n});
