"""What a database's definitions are, how two of them differ, and whether a difference can be deployed."""
