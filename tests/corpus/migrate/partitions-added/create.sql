-- a plain table is divided into ranges
CREATE TABLE t (
  id INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id)
);
-- rows 500
INSERT INTO t VALUES ({n}, {n});
