"""I change tables without copying them, where the server can do that at once."""
