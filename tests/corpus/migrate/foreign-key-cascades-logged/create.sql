-- a reference whose cascades the log tells
CREATE TABLE parent (
  id INT NOT NULL PRIMARY KEY
);
-- rows 50
INSERT INTO parent VALUES ({n});
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  p INT NULL,
  v INT NOT NULL,
  CONSTRAINT child_of FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE
);
-- rows 200
INSERT INTO t VALUES ({n}, 1 + {n} MOD 50, {n});
