UPDATE t SET a = {r:1..99}, b = '{text}' WHERE id = {n};

INSERT INTO t (id, a, b) VALUES ({new}, NULL, '{text}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
