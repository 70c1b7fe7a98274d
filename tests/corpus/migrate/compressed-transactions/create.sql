-- the log holds compressed transactions
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(400) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, REPEAT('row {n} ', 20));
