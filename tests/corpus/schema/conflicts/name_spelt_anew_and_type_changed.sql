-- base
CREATE TABLE t (id INT PRIMARY KEY, Name VARCHAR(5));
-- branch
ALTER TABLE t RENAME COLUMN Name TO name;
-- production
ALTER TABLE t MODIFY Name VARCHAR(9);
-- expect conflict
