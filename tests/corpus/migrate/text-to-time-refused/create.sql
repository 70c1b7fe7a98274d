-- one text is no time
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s VARCHAR(30) NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, '2024-01-01 00:00:00');
UPDATE t SET s = 'yesterday' WHERE id = 78;
