UPDATE t SET v = v + 1 WHERE id = 0;

DELETE FROM t WHERE id = 0;
INSERT INTO t VALUES (0, {r:1..99});

UPDATE t SET v = v + 1 WHERE id = -5;

INSERT INTO t (id, v) VALUES ({auto}, {r:1..9});
