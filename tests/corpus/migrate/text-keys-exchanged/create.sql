-- two rows exchange keys whose equality only the server knows, and a dropped column must follow each
CREATE TABLE t (
  name VARCHAR(30) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  gone INT NOT NULL DEFAULT 8,
  KEY v (v)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;
-- rows 300
INSERT INTO t VALUES (CONCAT('key', {n}), {n}, {n});
