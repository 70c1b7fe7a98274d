-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
ALTER TABLE t ADD COLUMN n INT;
CREATE TABLE more (id INT PRIMARY KEY);
-- production
ALTER TABLE t ADD COLUMN n INT;
-- expect ok
-- plan CREATE TABLE `more`
