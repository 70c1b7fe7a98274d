-- another order of the same letters
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  KEY v (v)
);
-- rows 400
INSERT INTO t VALUES ({n}, CONCAT(CHAR(97 + {n} MOD 26 USING utf8mb4), {n}));
