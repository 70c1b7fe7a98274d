-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9));
-- branch
ALTER TABLE t CHANGE a b BIGINT, CHANGE b a TEXT;
-- expect proved
-- plan CHANGE COLUMN `a` `b` bigint
