-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY x (a), KEY y (b));
-- branch
ALTER TABLE t DROP KEY x, ADD KEY x (a);
-- expect nothing
