-- base
CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b TEXT);
-- branch
ALTER TABLE t ADD FULLTEXT KEY f (a);
ALTER TABLE t ADD FULLTEXT KEY g (b);
-- expect proved
