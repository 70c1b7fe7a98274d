-- unsigned numbers get a sign, and signed ones lose it
CREATE TABLE t (
  id INT UNSIGNED NOT NULL PRIMARY KEY,
  u SMALLINT UNSIGNED NOT NULL,
  s SMALLINT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} * 80, {n});
