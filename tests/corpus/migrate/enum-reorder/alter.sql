ALTER TABLE t MODIFY e ENUM('blue', 'yellow', 'red', 'green') NOT NULL;
