-- the primary key goes, another unique key finds the rows
CREATE TABLE t (
  id INT NOT NULL,
  code INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY code (code)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n} + 10000, {n});
