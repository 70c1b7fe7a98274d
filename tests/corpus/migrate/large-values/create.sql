-- rows of a megabyte
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  b LONGBLOB NOT NULL,
  v INT NOT NULL
);
-- rows 12
INSERT INTO t VALUES ({n}, REPEAT(UNHEX(SHA2({n}, 256)), 32768), {n});
