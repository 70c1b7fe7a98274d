UPDATE t SET a = {r:1..99} WHERE id = {n};

INSERT INTO t (id, a) VALUES ({new}, {r:1..9});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
