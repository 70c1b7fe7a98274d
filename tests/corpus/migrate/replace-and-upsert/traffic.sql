REPLACE INTO t (id, u, v) VALUES ({n}, {m} + 1000, {r:1..9});

INSERT IGNORE INTO t (id, u) VALUES ({new}, {m} + 1000);

INSERT INTO t (id, u, v) VALUES ({n}, {m} + 1000, 1) ON DUPLICATE KEY UPDATE v = v + 1;

UPDATE IGNORE t SET id = {m} WHERE id = {n};
