UPDATE t SET v = {r:1..99}, i = i + 1 WHERE id = {n};

INSERT INTO t (id, i, v) VALUES ({new}, 1, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
