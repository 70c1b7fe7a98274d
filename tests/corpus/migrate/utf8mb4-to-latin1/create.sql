-- a smaller character set that holds every text there is
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, CONCAT('déjà vu ', {n}));
