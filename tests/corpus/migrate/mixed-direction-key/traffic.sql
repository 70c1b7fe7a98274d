UPDATE t SET v = v + 1 WHERE a = {n};

UPDATE t SET a = {new} WHERE a = {n};

INSERT INTO t VALUES ({new}, 1, 1);

DELETE FROM t WHERE a = {n};
