-- a server that logs only what changed inside of JSON
-- session SET SESSION binlog_row_value_options = 'PARTIAL_JSON'
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  j JSON NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('{"i": ', {n}, ', "long": "', REPEAT('x', 300), '"}'));
