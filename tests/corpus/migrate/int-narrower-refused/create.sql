-- a smaller integer in which one number has no place
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v BIGINT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n});
UPDATE t SET v = 40000 WHERE id = 369;
