-- base
CREATE TABLE p (id INT PRIMARY KEY);
CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));
-- branch
ALTER TABLE p RENAME COLUMN id TO pid;
-- production
ALTER TABLE c ADD COLUMN n INT;
-- expect ok
-- plan RENAME COLUMN `id` TO `pid`
