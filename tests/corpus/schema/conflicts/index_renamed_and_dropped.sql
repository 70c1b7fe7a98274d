-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT, KEY k (n));
-- branch
ALTER TABLE t RENAME INDEX k TO k2;
-- production
ALTER TABLE t DROP INDEX k;
-- expect ok
-- plan ADD KEY `k2` (`n`)
