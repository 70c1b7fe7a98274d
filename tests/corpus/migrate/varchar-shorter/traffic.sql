UPDATE t SET v = '{text}' WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, 'ää');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
