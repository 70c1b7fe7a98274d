-- base
CREATE TABLE p (id INT PRIMARY KEY);
CREATE TABLE c (id INT PRIMARY KEY, pid INT);
-- branch
ALTER TABLE p MODIFY id BIGINT;
-- production
ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (pid) REFERENCES p (id);
-- expect conflict
