ALTER TABLE t MODIFY e ENUM('red', 'green', 'blue', 'white') NOT NULL;
