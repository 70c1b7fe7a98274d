-- columns named like reserved words
CREATE TABLE t (
  `order` INT NOT NULL PRIMARY KEY,
  `key` INT NOT NULL,
  `index` VARCHAR(20) NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 1, 'row {n}');
