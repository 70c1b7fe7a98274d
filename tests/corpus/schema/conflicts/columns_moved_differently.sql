-- base
CREATE TABLE t (a INT, b INT, c INT);
-- branch
ALTER TABLE t MODIFY c INT FIRST;
-- production
ALTER TABLE t MODIFY a INT AFTER b;
-- expect conflict
-- reason moved columns
