-- generated columns are added
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL
);
-- rows 400
INSERT INTO t (id, a) VALUES ({n}, {n});
