-- bytes that are no text, in a column that grows
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  raw VARBINARY(32) NOT NULL,
  more TINYBLOB NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, UNHEX(SHA2({n}, 256)), CONCAT(x'00ff00', {n}, x'00'));
