-- renames amount cents
ALTER TABLE t CHANGE amount cents DECIMAL(20,2) NOT NULL;
