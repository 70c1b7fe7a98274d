-- the key is a text whose order only the server knows
CREATE TABLE t (
  name VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  v INT NOT NULL,
  KEY n (n)
);
-- rows 600
INSERT INTO t VALUES (CONCAT(CHAR(97 + {n} MOD 26 USING utf8mb4), 'ä', {n}), {n}, {n});
