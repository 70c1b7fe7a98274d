-- one text is too long for the new column
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(200) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, 'row {n}');
UPDATE t SET v = 'much too long for ten' WHERE id = 388;
