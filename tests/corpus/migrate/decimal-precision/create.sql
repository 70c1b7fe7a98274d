-- decimals get more digits before and after the point
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  price DECIMAL(8,2) NOT NULL,
  tax DECIMAL(5,4) NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} * 1.01, {n} / 10000);
