-- renames id number
ALTER TABLE t CHANGE id number BIGINT NOT NULL;
