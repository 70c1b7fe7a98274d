-- years and dates, and a date that becomes a time
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  y YEAR NOT NULL,
  d DATE NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1901 + {n} MOD 250, '1000-01-01' + INTERVAL {n} DAY);
