-- MariaDB's own types
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u UUID NOT NULL,
  a INET6 NULL,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('123e4567-e89b-12d3-a456-', LPAD(HEX({n} * 7919), 12, '0')), CONCAT('2001:db8::', {n}), {n});
