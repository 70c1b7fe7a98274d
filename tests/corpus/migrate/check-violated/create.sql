-- a new condition that one row does not fulfil
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
UPDATE t SET v = -1 WHERE id = 277;
