UPDATE t SET v = {r:1..99}, p = {r:1..50} WHERE id = {n};

INSERT INTO t (id, p, v) VALUES ({new}, {r:1..50}, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
