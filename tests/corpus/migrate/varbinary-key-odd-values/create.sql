-- the empty key, the key of one zero byte, and keys that begin alike
CREATE TABLE t (
  k VARBINARY(20) NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 400
INSERT INTO t VALUES (CONCAT('k', {n}), {n});
INSERT INTO t VALUES ('', -1), (x'00', -2), (x'0000', -3), (x'ff', -4), (' ', -5), ('''', -6), ('%s', -7), ('\\', -8);
