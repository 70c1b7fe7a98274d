ALTER TABLE t MODIFY e ENUM('red', 'green') NOT NULL;
