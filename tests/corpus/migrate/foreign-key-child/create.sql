-- the table refers to another one
CREATE TABLE parent (
  id INT NOT NULL PRIMARY KEY
);
-- rows 50
INSERT INTO parent VALUES ({n});
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  p INT NULL,
  v INT NOT NULL,
  CONSTRAINT child_of FOREIGN KEY (p) REFERENCES parent (id) ON DELETE RESTRICT
);
-- rows 400
INSERT INTO t VALUES ({n}, 1 + {n} MOD 40, {n});
