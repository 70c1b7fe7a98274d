UPDATE t SET e = '{pick:z|a|m}' WHERE n = {n};

UPDATE t SET v = v + 1 WHERE n = {n};

INSERT INTO t VALUES ('m', {new}, 1);

DELETE FROM t WHERE n = {n};
