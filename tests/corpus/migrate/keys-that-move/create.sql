-- keys move forward, back and along chains in one transaction
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  gone INT NOT NULL DEFAULT 8
);
-- rows 900
INSERT INTO t VALUES ({n}, {n}, {n});
