-- the table of the well-known benchmark, with its transactions
CREATE TABLE t (
  id INT NOT NULL AUTO_INCREMENT,
  k INT NOT NULL DEFAULT 0,
  c CHAR(120) NOT NULL DEFAULT '',
  pad CHAR(60) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY k_1 (k)
);
-- rows 3000
INSERT INTO t VALUES ({n}, {n} * 7 MOD 3000, SHA2('{n}', 256), LEFT(SHA2('{n}', 256), 32));
