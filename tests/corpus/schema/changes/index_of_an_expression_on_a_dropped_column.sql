-- only mysql
-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY f ((a + 1)));
-- branch
ALTER TABLE t DROP KEY f;
ALTER TABLE t DROP COLUMN a;
-- expect proved
-- plan DROP INDEX `f`, DROP COLUMN `a`
