-- only the case of names changes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  fooBar INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
