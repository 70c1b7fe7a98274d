-- base
CREATE TABLE t (id INT PRIMARY KEY, CHECK (id > 0));
CREATE TABLE c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id));
create trigger g before insert on t for each row set new.id = 1;
-- branch
RENAME TABLE t TO u;
-- production
CREATE TABLE other (id INT PRIMARY KEY);
-- expect ok
-- plan RENAME TABLE `t` TO `u`
