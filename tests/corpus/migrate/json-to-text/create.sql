-- JSON becomes text
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  j JSON NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('{"i": ', {n}, '}'));
