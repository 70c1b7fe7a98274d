"""I read the server's binary log: which rows changed, where that is written, and nothing else of it."""
