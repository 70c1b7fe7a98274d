-- clients write the member that goes while the rows are copied
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'green', 'blue') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 'red');
