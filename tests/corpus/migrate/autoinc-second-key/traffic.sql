INSERT INTO t (id, seq, v) VALUES ({new}, {auto}, {r:1..9});

UPDATE t SET v = {r:1..9} WHERE id = {n};

DELETE FROM t WHERE id = {n};
