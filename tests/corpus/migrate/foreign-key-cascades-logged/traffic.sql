UPDATE t SET v = {r:1..99} WHERE id = {n};

DELETE FROM parent WHERE id = {r:1..50};

INSERT INTO parent VALUES ({new});
INSERT INTO t VALUES ({new}, {new}, 1);
