-- conditions go, named by a person and by the server
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL CHECK (v > 0),
  w INT NULL,
  CONSTRAINT mine CHECK (w < 1000)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, NULL);
