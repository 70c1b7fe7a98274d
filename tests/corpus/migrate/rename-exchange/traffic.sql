UPDATE t SET v = v + {r:1..9} WHERE id = {n};

INSERT INTO t (id, a, b, v) VALUES ({new}, 7, 7, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
