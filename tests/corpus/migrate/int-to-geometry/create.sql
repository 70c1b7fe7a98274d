-- numbers cannot become shapes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  g INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
