-- base
CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a','b'));
-- branch
ALTER TABLE t MODIFY e ENUM('a','b','c');
-- production
ALTER TABLE t MODIFY e ENUM('a','b','d');
-- expect conflict
-- reason column e
