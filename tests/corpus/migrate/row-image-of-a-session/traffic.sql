-- session SET SESSION binlog_row_image = 'MINIMAL'
UPDATE t SET v = {r:1..99} WHERE id = {n};

INSERT INTO t (id, i, v) VALUES ({new}, 2, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

UPDATE t SET i = i + 10 WHERE id = {n};
