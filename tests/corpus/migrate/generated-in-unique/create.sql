-- a unique key over a generated column is added
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  mail VARCHAR(60) NOT NULL
);
-- rows 400
INSERT INTO t (id, mail) VALUES ({n}, CONCAT('Mail', {n}, '@Example.org'));
