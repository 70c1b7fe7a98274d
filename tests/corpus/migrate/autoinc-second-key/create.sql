-- the number is not the key by which rows are found
CREATE TABLE t (
  id BIGINT NOT NULL PRIMARY KEY,
  seq INT NOT NULL AUTO_INCREMENT,
  v INT NOT NULL,
  KEY seq (seq)
);
-- rows 300
INSERT INTO t VALUES ({n}, {n} + 5000, {n});
