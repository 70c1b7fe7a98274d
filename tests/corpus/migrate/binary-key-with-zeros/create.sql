-- keys of bytes with zeros at their end
CREATE TABLE t (
  k BINARY(6) NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 500
INSERT INTO t VALUES (CONCAT(CHAR({n} DIV 256, {n} MOD 256), x'00'), {n});
