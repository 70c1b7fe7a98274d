-- two texts become equal under the new collation of a unique key
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  UNIQUE KEY v (v)
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('row ', {n}));
UPDATE t SET v = 'ROW 7' WHERE id = 250;
