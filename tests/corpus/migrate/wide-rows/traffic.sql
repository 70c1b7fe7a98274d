UPDATE t SET a = REPEAT('{text}', 200), d = NULL WHERE id = {n};

INSERT INTO t (id, a, b, c) VALUES ({new}, '{text}', '', '');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
