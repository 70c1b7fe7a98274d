-- a smaller integer that holds every number there is
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v BIGINT NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} - 200);
