"""I carry over what belongs to a table beside its rows: triggers and foreign keys."""
