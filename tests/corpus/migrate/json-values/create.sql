-- numbers, texts and nesting of JSON survive to the last digit
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  j JSON NOT NULL,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('{"i": ', {n}, ', "d": 1e', {n} MOD 300, ', "big": 18446744073709551615, "s": "漢\\u0000\\n", "a": [null, true, [], 0.1]}'), NULL);
