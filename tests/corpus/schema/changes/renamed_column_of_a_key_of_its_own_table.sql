-- base
CREATE TABLE t (id INT PRIMARY KEY, parent INT, CONSTRAINT f FOREIGN KEY (parent) REFERENCES t (id));
-- branch
ALTER TABLE t RENAME COLUMN parent TO above, RENAME COLUMN id TO number;
-- expect proved
-- plan RENAME COLUMN
