INSERT INTO t (id, v) VALUES ({auto}, {r:1..9});
DELETE FROM t WHERE id > 390;

UPDATE t SET v = {r:1..9} WHERE id = {n};
