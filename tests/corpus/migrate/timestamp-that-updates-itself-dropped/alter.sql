-- forgets touched
ALTER TABLE t DROP COLUMN touched;
