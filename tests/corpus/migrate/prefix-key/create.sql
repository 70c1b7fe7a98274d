-- the only unique key covers the beginning of a text
CREATE TABLE t (
  name VARCHAR(100) NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (name(20))
);
-- rows 100
INSERT INTO t VALUES (CONCAT('row ', {n}), {n});
