-- the numbered key itself grows
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  v INT NOT NULL
) AUTO_INCREMENT = 100000;
-- rows 500
INSERT INTO t VALUES ({n}, {n});
