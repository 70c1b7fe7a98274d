-- padding zeros of BINARY stay part of the value, copied or written meanwhile
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  raw BINARY(8) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, CONCAT('r', {n}));
