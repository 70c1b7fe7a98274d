UPDATE t SET n = n - 2 WHERE d = '0000-00-00 00:00:00' AND part = 1;

UPDATE t SET n = n - 2 WHERE d = '0000-00-00 00:00:00' AND part = 2;

UPDATE t SET d = '2010-01-01 00:00:00' + INTERVAL {new} SECOND WHERE n = {n};

DELETE FROM t WHERE n = {n};
