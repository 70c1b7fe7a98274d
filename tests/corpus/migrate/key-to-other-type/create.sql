-- the primary key goes to a new text column, the number stays unique
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  name VARCHAR(20) NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, CONCAT('row ', {n}));
