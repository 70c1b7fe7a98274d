-- xa
UPDATE t SET v = {r:1..99} WHERE id = {n};

-- xa
INSERT INTO t VALUES ({new}, 1);
DELETE FROM t WHERE id = {n};

UPDATE t SET v = v + 1 WHERE id = {n};
