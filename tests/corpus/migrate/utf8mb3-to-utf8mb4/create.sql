-- the old three-byte character set gives way
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(30) NOT NULL,
  KEY v (v)
) CHARACTER SET utf8mb3;
-- rows 400
INSERT INTO t VALUES ({n}, 'Zürich → {n} €');
