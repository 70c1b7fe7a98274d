"""I am what is known of two tables: their columns and keys, and every statement about their rows."""
