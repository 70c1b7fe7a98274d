UPDATE t SET a = {r:1..99}, c = a + 1 WHERE id = {n};

INSERT INTO t (id, a, b, c) VALUES ({new}, {r:1..9}, '{text}', {r:-9..9});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
