-- a key that is equal to itself in another case
CREATE TABLE t (
  name VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 400
INSERT INTO t VALUES (CONCAT('Key of ', {n}), {n});
