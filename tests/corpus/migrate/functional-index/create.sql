-- an index over an expression
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  mail VARCHAR(60) NOT NULL,
  UNIQUE KEY sum ((id + 1))
);
-- rows 300
INSERT INTO t (id, mail) VALUES ({n}, CONCAT('Mail', {n}));
