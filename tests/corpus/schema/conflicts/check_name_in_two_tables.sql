-- base
CREATE TABLE t (a INT);
CREATE TABLE u (a INT);
-- branch
ALTER TABLE t ADD CONSTRAINT same CHECK (a > 1);
-- production
ALTER TABLE u ADD CONSTRAINT same CHECK (a > 2);
-- expect mysql conflict
-- expect mariadb ok
