UPDATE t SET v = 'other words {text}' WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, '{text}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
