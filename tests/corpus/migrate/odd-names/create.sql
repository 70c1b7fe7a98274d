-- names with quotes, blanks, percents, and 64 letters
CREATE TABLE t (
  `i``d %s` INT NOT NULL PRIMARY KEY,
  `"q" 'x' -- ;` INT NOT NULL,
  `ünï çødé → 漢` VARCHAR(20) NULL,
  `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, 'x', NULL);
