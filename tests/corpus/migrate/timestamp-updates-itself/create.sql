-- a column that changes itself with each update
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  touched TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);
-- rows 400
INSERT INTO t (id, v) VALUES ({n}, {n});
UPDATE t SET touched = '2020-01-01 00:00:00.5';
