-- base
CREATE TABLE p (id INT PRIMARY KEY);
CREATE TABLE c (id INT PRIMARY KEY, pid INT);
-- branch
DROP TABLE p;
-- production
ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (pid) REFERENCES p (id);
-- expect conflict
