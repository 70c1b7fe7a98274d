"""I exchange tables' names under a lock of the server's own, one or many at once."""
