"""I find what cannot be changed safely, or would lose something, before anything is touched."""
