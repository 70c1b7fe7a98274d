UPDATE t SET w = {r:1..99} WHERE id = {n};

INSERT INTO t (id, v, w) VALUES ({new}, {r:1..9}, 5);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
