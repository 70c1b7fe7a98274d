-- defaults and values with percents, quotes and backslashes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) NOT NULL DEFAULT '100%s "x" \\ ''q'''
);
-- rows 300
INSERT INTO t VALUES ({n}, '%(a)s {n} \\n ''"`');
