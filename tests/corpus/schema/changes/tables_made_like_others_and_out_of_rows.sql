-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 3, CHECK (a > 0), KEY k (a));
-- branch
CREATE TABLE u LIKE t;
CREATE TABLE v AS SELECT id, a + 1 AS b FROM t;
CREATE TEMPORARY TABLE w (id INT);
-- expect proved
-- plan CREATE TABLE `v`
