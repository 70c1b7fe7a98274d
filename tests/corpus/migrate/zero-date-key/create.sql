-- a key of dates, one of them all zeros
-- session SET SESSION sql_mode = 'STRICT_ALL_TABLES'
CREATE TABLE t (
  d DATETIME NOT NULL PRIMARY KEY,
  n INT NOT NULL,
  KEY n (n)
);
-- rows 300
INSERT INTO t VALUES ('1999-12-31 23:00:00' + INTERVAL {n} MINUTE, {n});
INSERT INTO t VALUES ('0000-00-00 00:00:00', -1), ('2024-00-00 00:00:00', -2);
