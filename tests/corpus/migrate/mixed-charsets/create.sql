-- columns in five character sets, and one more comes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a VARCHAR(20) CHARACTER SET latin1 NOT NULL,
  b VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL,
  c VARCHAR(20) CHARACTER SET utf8mb3 NULL,
  d CHAR(20) CHARACTER SET ascii NULL,
  e VARCHAR(20) CHARACTER SET cp1251 NULL
) CHARACTER SET utf8mb4;
-- rows 400
INSERT INTO t VALUES ({n}, 'é{n}', '😀{n}', '€{n}', 'a{n}', 'жук{n}');
