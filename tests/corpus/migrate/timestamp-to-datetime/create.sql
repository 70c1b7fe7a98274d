-- moments become local times, in the server's own time zone
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s TIMESTAMP(3) NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, FROM_UNIXTIME(1700000000 + {n} * 3600));
