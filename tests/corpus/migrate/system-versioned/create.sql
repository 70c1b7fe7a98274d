-- MariaDB keeps the history of rows in the table
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
) WITH SYSTEM VERSIONING;
-- rows 100
INSERT INTO t (id, v) VALUES ({n}, {n});
