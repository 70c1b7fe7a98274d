UPDATE t SET i = {r:1..99}, s = '{r:1..99}' WHERE id = {n};

INSERT INTO t (id, i, s) VALUES ({new}, 5, '6');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
