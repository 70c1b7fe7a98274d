-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
-- branch
ALTER TABLE t ADD COLUMN v INT, ADD KEY k (n);
-- production
ALTER TABLE t ADD COLUMN v INT;
-- expect ok
-- plan ADD KEY `k` (`n`)
