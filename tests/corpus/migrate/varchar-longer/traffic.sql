UPDATE t SET v = '{text}  ', w = REPEAT('ä', 100) WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, '');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
