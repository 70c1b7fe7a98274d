ALTER TABLE t MODIFY s SET('c', 'x', 'a', 'b') NULL;
