-- numbers would become members by their place, which hardly anybody wants
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 3);
