UPDATE t SET v = v + 1 WHERE n = {n};

DELETE FROM t WHERE n = {n};
