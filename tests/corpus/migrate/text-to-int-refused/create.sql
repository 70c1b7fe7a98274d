-- one text is no number
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s VARCHAR(20) NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, '{n}');
UPDATE t SET s = 'seven' WHERE id = 77;
