-- texts may be no longer than they are
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(200) NOT NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, 'row {n}');
