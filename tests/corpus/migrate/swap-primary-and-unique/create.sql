-- the primary key and another unique key change roles
CREATE TABLE t (
  id INT NOT NULL,
  code INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY code (code)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 10000, {n});
