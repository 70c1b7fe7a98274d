-- a computed column would become a plain one, which takes over no value
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  s INT AS (a * 2) STORED
);
-- rows 300
INSERT INTO t (id, a) VALUES ({n}, {n});
