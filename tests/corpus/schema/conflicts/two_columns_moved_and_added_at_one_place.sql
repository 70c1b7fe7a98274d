-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT);
-- branch
ALTER TABLE t MODIFY c INT AFTER id;
-- production
ALTER TABLE t ADD COLUMN n INT AFTER id;
-- expect ok
-- strict conflict
