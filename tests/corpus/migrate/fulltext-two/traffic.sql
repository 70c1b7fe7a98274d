UPDATE t SET v = 'other words {text}', w = '{text}' WHERE id = {n};

INSERT INTO t (id, v, w) VALUES ({new}, '{text}', '');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
