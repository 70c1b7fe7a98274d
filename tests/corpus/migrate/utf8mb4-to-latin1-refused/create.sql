-- a smaller character set in which one text has no place
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, CONCAT('plain ', {n}));
UPDATE t SET v = '漢字' WHERE id = 321;
