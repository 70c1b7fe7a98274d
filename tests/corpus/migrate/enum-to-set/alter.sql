ALTER TABLE t MODIFY e SET('a', 'b', 'c') NOT NULL;
