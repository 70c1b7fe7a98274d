-- a dropped column that changes itself comes back as it was
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  touched DATETIME NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP
);
-- rows 400
INSERT INTO t (id, v) VALUES ({n}, {n});
