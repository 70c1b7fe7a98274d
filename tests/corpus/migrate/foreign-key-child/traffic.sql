-- allows 1451 1452
UPDATE t SET v = {r:1..99}, p = {r:1..60} WHERE id = {n};

INSERT INTO t (id, p, v) VALUES ({new}, {r:1..50}, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

DELETE FROM parent WHERE id = {r:1..60};

INSERT INTO parent VALUES ({new});
