UPDATE t SET k = k + 1 WHERE id = {n};
UPDATE t SET c = SHA2('{text}', 256) WHERE id = {m};
DELETE FROM t WHERE id = {n};
INSERT INTO t (id, k, c, pad) VALUES ({n}, {r:1..3000}, '{text}', '{text}');

UPDATE t SET k = k + 1 WHERE id BETWEEN {n} AND {n} + 20;

INSERT INTO t (id, k, c) VALUES ({auto}, {r:1..3000}, '{text}');
