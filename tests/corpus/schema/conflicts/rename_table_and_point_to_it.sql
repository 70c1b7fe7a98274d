-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
RENAME TABLE t TO u;
-- production
CREATE TABLE c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id));
-- expect conflict
-- reason has added a foreign key to it
