-- the rows with the highest numbers are gone: their numbers must not be given again
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  v INT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
DELETE FROM t WHERE id > 390;
