-- the key no longer gives numbers
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
