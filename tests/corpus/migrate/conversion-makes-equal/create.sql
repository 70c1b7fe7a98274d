-- a narrower decimal makes two unique values the same
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u DECIMAL(10,4) NOT NULL,
  UNIQUE KEY u (u)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
UPDATE t SET u = 7.0004 WHERE id = 231;
