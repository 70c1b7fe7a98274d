UPDATE t SET v = {r:1..99} WHERE id = {n};

INSERT INTO t (id, code, v) VALUES ({new}, {new} + 10000, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

UPDATE t SET code = code + 1000000 WHERE id = {n};
