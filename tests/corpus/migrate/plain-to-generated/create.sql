-- a plain column becomes a computed one, for the rows whose value is the computed one
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  s INT NULL
);
-- rows 300
INSERT INTO t (id, a, s) VALUES ({n}, {n}, {n} * 2);
