-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT, UNIQUE KEY u (a, c));
-- branch
ALTER TABLE t CHANGE a d INT AFTER c;
-- expect proved
-- plan CHANGE COLUMN `a` `d`
