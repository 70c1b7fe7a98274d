UPDATE t SET j = '{r:1..99}' WHERE id = {n};

INSERT INTO t (id, j) VALUES ({new}, '5');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
