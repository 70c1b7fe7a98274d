-- the key itself changes its character set
CREATE TABLE t (
  name VARCHAR(40) CHARACTER SET latin1 NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 400
INSERT INTO t VALUES (CONCAT('é', {n}), {n});
