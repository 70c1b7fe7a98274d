UPDATE t SET v = '{pick:運|許功蓋|淚}{text}' WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, '乗');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
