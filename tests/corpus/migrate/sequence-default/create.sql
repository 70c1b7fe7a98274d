-- MariaDB's sequences give the values of a column
CREATE SEQUENCE s;
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v BIGINT NOT NULL DEFAULT 0
);
-- rows 200
INSERT INTO t VALUES ({n}, {n});
