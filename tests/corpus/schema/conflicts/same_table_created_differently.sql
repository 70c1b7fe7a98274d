-- base
CREATE TABLE t (id INT PRIMARY KEY);
-- branch
CREATE TABLE n (id INT PRIMARY KEY);
-- production
CREATE TABLE n (id BIGINT PRIMARY KEY);
-- expect conflict
