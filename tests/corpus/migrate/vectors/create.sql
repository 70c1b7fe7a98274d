-- vectors are copied and changed as they are
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e VECTOR(3) NOT NULL,
  v INT NULL
);
-- rows 200
INSERT INTO t VALUES ({n}, STRING_TO_VECTOR('[{n}, 0.1, -2]'), {n});
