-- without its second column the key is not unique any more
CREATE TABLE t (
  id INT NOT NULL,
  i INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (id, i)
);
-- rows 300
INSERT INTO t VALUES ({n}, 1, {n});
INSERT INTO t VALUES (111, 2, 2);
