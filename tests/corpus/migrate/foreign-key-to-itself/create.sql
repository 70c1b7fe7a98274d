-- the table refers to itself
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  p INT NULL,
  v INT NOT NULL,
  CONSTRAINT of_t FOREIGN KEY (p) REFERENCES t (id)
);
-- rows 200
INSERT INTO t VALUES ({n}, NULL, {n});
