-- allows 1451 1452
UPDATE t SET v = {r:1..99} WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

UPDATE child SET p = {n} WHERE id = {r:1..100};

INSERT INTO child VALUES ({new}, {n});
