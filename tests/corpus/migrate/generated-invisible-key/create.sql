-- the server made an invisible key of its own
-- session SET SESSION sql_generate_invisible_primary_key = ON
CREATE TABLE t (
  n INT NOT NULL,
  v INT NOT NULL,
  KEY n (n)
);
-- rows 400
INSERT INTO t (n, v) VALUES ({n}, {n});
