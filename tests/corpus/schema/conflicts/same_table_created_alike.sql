-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
CREATE TABLE n (id INT PRIMARY KEY, CONSTRAINT one CHECK (id > 0));
-- production
CREATE TABLE n (id INT PRIMARY KEY, CONSTRAINT other CHECK (id > 0)) AUTO_INCREMENT=50;
-- expect nothing
