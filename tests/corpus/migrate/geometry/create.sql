-- points and shapes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  g GEOMETRY NOT NULL,
  p POINT NULL,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, ST_GeomFromText('LINESTRING(0 0, 1 {n}, 2.5 -3.25)'), ST_GeomFromText('POINT({n} 1)'), NULL);
