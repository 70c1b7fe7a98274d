UPDATE t SET v = {r:1..99}, w = '' WHERE id = {n};

INSERT INTO t (id, v, w) VALUES ({new}, {r:1..9}, 'y');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
