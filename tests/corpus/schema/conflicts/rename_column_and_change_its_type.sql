-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT);
-- branch
ALTER TABLE t RENAME COLUMN a TO b;
-- production
ALTER TABLE t MODIFY a BIGINT;
-- expect conflict
-- reason renamed column 'a' to 'b'
