-- local times become moments, in the server's own time zone
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  d DATETIME NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, '2024-03-10 00:00:00' + INTERVAL {n} HOUR);
