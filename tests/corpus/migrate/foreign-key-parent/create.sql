-- another table refers to this one
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
CREATE TABLE child (
  id INT NOT NULL PRIMARY KEY,
  p INT NULL,
  CONSTRAINT of_t FOREIGN KEY (p) REFERENCES t (id)
);
-- rows 100
INSERT INTO child VALUES ({n}, {n});
