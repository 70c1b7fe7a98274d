UPDATE t SET s = '{pick:a|b|a,b|c|}' WHERE n = {n};

UPDATE t SET v = v + 1 WHERE n = {n};

DELETE FROM t WHERE n = {n};
