-- a multi-byte character set whose second bytes look like ASCII
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) CHARACTER SET gbk NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('中文誠', {n}));
