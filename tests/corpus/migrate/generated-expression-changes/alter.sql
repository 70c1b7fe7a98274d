ALTER TABLE t DROP KEY label, DROP KEY total, DROP COLUMN total, DROP COLUMN label;
ALTER TABLE t ADD COLUMN total INT AS (v * 2 - w) STORED AFTER w, ADD COLUMN label VARCHAR(30) AS (CONCAT(v, '-', id)) VIRTUAL AFTER total, ADD UNIQUE KEY label (label), ADD KEY total (total);
