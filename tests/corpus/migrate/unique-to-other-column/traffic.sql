DELETE FROM t WHERE id = {n};

INSERT INTO t VALUES ({new}, {new} + 10000, {new} + 20000);

UPDATE t SET id = {new} WHERE id = {n};

UPDATE t SET a = {new} + 30000, b = {new} + 40000 WHERE id = {n};
