-- MariaDB's UUID as the key, in an order of its own
CREATE TABLE t (
  u UUID NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 300
INSERT INTO t VALUES (CONCAT(LPAD(HEX({n} * 7919), 8, '0'), '-e89b-12d3-a456-', LPAD({n} * 31, 12, '0')), {n});
