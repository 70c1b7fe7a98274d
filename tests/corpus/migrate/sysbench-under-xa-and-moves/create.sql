-- everything at once: moved keys, two-phase transactions, exchanged unique values, a dropped column
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  u INT NULL,
  v INT NOT NULL,
  gone VARCHAR(20) NOT NULL DEFAULT 'gone',
  UNIQUE KEY u (u)
);
-- rows 1200
INSERT INTO t VALUES ({n}, {n} + 100000, {n}, CONCAT('g', {n}));
