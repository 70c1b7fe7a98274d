UPDATE t SET c = '{text}', v = '{text}' WHERE id = {n};

INSERT INTO t (id, c, v) VALUES ({new}, 'a', 'b');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
