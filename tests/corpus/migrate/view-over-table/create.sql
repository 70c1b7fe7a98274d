-- a view reads the table, before and after
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
CREATE VIEW seen AS SELECT id, v FROM t;
