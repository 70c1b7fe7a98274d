-- numbers become text, and text that is a number becomes one
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  i INT NOT NULL,
  s VARCHAR(20) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, {n}, '-{n}');
