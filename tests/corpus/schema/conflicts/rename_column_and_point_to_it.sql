-- base
CREATE TABLE p (id INT PRIMARY KEY);
-- branch
ALTER TABLE p RENAME COLUMN id TO pid;
-- production
CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));
-- expect conflict
-- reason added a foreign key that points to it
