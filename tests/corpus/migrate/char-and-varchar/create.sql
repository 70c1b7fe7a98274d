-- texts of fixed length lose their blanks as the server does it
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  c CHAR(10) NOT NULL,
  v VARCHAR(10) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, 'c{n}  ', 'v{n}');
