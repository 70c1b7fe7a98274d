UPDATE t SET v = REPEAT('{text}', 200) WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, '{text}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
