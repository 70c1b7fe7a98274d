-- a member goes that a row still has
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'green', 'blue') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 'red');
UPDATE t SET e = 'blue' WHERE id = 222;
