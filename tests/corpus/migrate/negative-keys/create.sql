-- keys below zero, of the smallest type
CREATE TABLE t (
  a TINYINT NOT NULL,
  b MEDIUMINT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (a, b)
);
-- rows 500
INSERT INTO t VALUES ({n} MOD 256 - 128, -{n}, {n});
