-- a dropped column keeps its values for the way back, also in the row whose key is a date of zeros
-- session SET SESSION sql_mode = 'STRICT_ALL_TABLES'
CREATE TABLE t (
  d DATETIME NOT NULL,
  part INT NOT NULL,
  n INT NOT NULL,
  gone INT NOT NULL DEFAULT 7,
  PRIMARY KEY (d, part),
  UNIQUE KEY n (n)
);
-- rows 200
INSERT INTO t VALUES ('1999-12-31 23:00:00' + INTERVAL {n} MINUTE, 1, {n}, {n});
INSERT INTO t VALUES ('0000-00-00 00:00:00', 1, -1, 111), ('0000-00-00 00:00:00', 2, -2, 222);
