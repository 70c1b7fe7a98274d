-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT);
-- branch
ALTER TABLE t ADD COLUMN b INT AFTER id;
-- production
ALTER TABLE t ADD COLUMN a INT AFTER id;
-- expect ok
-- strict conflict
-- plan AFTER `a`
-- note will come after 'a'
