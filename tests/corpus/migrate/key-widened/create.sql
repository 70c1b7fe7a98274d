-- the primary key gets a second column
CREATE TABLE t (
  id INT NOT NULL,
  i INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} MOD 3, {n});
