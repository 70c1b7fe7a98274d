"""The online schema change engine: one table at a time, without blocking and without losing a row."""
