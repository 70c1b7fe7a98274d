ALTER TABLE t MODIFY e ENUM('one', 'two', 'three') NOT NULL;
