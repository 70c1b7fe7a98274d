-- a reference is added, and every row fulfils it
CREATE TABLE parent (
  id INT NOT NULL PRIMARY KEY
);
-- rows 50
INSERT INTO parent VALUES ({n});
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  p INT NULL,
  v INT NOT NULL,
  KEY p (p)
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 50, {n});
