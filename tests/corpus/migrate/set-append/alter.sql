ALTER TABLE t MODIFY s SET('a', 'b', 'c', 'd', 'e') NOT NULL;
