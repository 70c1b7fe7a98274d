UPDATE t SET v = {r:1..99} WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, {r:1..9});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
