-- clients live in another time zone than the server and the engine
-- session SET SESSION time_zone = '+09:30'
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  s TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  d DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, '2024-01-01 05:00:00', '2024-01-01 05:00:00', {n});
