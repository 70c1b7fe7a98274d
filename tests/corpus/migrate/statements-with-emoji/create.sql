-- statements of clients hold letters of four bytes and take long: MySQL cannot list those that run
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(20) NOT NULL
) DEFAULT CHARSET = utf8mb4;
-- rows 300
INSERT INTO t VALUES ({n}, '😀{n}');
