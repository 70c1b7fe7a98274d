-- renames a b
-- renames b a
ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a;
