-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY old (a), UNIQUE KEY u (a));
-- branch
ALTER TABLE t DROP KEY old, DROP KEY u, ADD KEY new (a), ADD KEY u (a);
-- expect proved
