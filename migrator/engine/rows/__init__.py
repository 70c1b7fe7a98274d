"""I bring one table's rows into another and keep them equal: copy, follow, flush, verify."""
