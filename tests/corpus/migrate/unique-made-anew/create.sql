-- a unique key is dropped and made anew over the same columns in another order, beside rows that exchange its values
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  a INT NOT NULL,
  b INT NULL,
  gone VARCHAR(10) NOT NULL DEFAULT 'new',
  UNIQUE KEY ab (a, b)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n}, {n} % 7, CONCAT('g', {n}));
