-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL);
-- branch
ALTER TABLE t DROP PRIMARY KEY, ADD UNIQUE KEY u (id), ADD PRIMARY KEY (a, id);
-- expect proved
