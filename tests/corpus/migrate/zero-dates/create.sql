-- dates of zeros from older times stay what they are
-- session SET SESSION sql_mode = 'STRICT_ALL_TABLES'
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  d DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
  e DATE NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, '0000-00-00 00:00:00', '2024-00-00');
