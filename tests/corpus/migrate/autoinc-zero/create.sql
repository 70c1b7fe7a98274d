-- a row numbered 0 is a row like any other
-- session SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  v INT NOT NULL
);
INSERT INTO t VALUES (0, 0), (-5, 5);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
