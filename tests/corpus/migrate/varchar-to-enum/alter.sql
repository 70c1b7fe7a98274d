ALTER TABLE t MODIFY e ENUM('blue', 'green', 'red') CHARACTER SET utf8mb4 NOT NULL;
