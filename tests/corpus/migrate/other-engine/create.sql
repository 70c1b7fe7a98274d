-- the table is not of InnoDB
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL
) ENGINE=MyISAM;
-- rows 100
INSERT INTO t VALUES ({n}, {n});
