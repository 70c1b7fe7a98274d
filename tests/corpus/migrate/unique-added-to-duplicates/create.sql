-- two rows have what is to be unique
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 5000);
UPDATE t SET u = 5017 WHERE id = 402;
