-- base
CREATE TABLE t (id INT PRIMARY KEY, n INT, m INT, KEY old (n));
-- branch
ALTER TABLE t ADD KEY kn (n, m), DROP KEY old;
-- production
ALTER TABLE t ADD KEY km (m);
-- expect ok
