-- texts that were compared without case are compared by their bytes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v CHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  UNIQUE KEY v (v)
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('Row ', {n}));
