-- base
CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(200), KEY k (a, b), KEY p (b(10)));
-- branch
ALTER TABLE t DROP KEY k, ADD KEY k (a DESC, b), DROP KEY p, ADD KEY p (b(20));
-- expect proved
