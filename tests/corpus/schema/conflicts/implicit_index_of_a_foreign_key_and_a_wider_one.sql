-- base
CREATE TABLE p (id INT PRIMARY KEY);
CREATE TABLE c (id INT PRIMARY KEY, pid INT, z INT, FOREIGN KEY (pid) REFERENCES p (id));
-- branch
ALTER TABLE c ADD KEY wide (pid, z);
-- production
ALTER TABLE c ADD COLUMN n INT;
-- expect ok
-- plan wide
