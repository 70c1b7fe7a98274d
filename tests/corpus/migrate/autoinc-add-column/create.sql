-- numbers are given before, during and after
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
