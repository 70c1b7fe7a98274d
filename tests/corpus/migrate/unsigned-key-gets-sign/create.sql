-- the key gets a sign
CREATE TABLE t (
  id INT UNSIGNED NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
