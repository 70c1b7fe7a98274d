-- text that is JSON becomes JSON
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  j LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('{"i": ', {n}, '}'));
