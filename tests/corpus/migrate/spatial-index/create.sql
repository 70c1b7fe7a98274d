-- a spatial index is added
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  p POINT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, ST_GeomFromText('POINT({n} 1)'));
