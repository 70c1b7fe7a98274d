INSERT INTO t (id, v) VALUES ({auto}, {r:1..9});

INSERT INTO t (id, v) VALUES ({auto}, 1);
INSERT INTO t (id, v) VALUES ({auto}, 2);

UPDATE t SET v = {r:1..9} WHERE id = {n};

DELETE FROM t WHERE id = {n};
