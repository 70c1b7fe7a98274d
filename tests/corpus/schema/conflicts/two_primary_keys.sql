-- base
CREATE TABLE t (a INT NOT NULL, b INT NOT NULL);
-- branch
ALTER TABLE t ADD PRIMARY KEY (a);
-- production
ALTER TABLE t ADD PRIMARY KEY (b);
-- expect conflict
-- reason primary key
