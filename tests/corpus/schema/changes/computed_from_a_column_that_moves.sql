-- base
CREATE TABLE t (a INT, b INT, v INT AS (a + b) VIRTUAL);
-- branch
ALTER TABLE t MODIFY a INT AFTER b;
-- expect proved
