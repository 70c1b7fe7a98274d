-- base
CREATE TABLE t (id INT PRIMARY KEY, old VARCHAR(5)) DEFAULT CHARSET=latin1;
-- branch
ALTER TABLE t DEFAULT CHARSET=utf8mb4;
-- production
ALTER TABLE t ADD COLUMN v INT;
-- expect ok
