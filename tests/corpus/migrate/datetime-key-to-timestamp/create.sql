-- the key itself would be converted between time zones
CREATE TABLE t (
  d DATETIME NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ('2024-01-01 00:00:00' + INTERVAL {n} SECOND, {n});
