UPDATE t SET n = n - 100 WHERE k = '{pick:| |%s}';

UPDATE t SET k = CONCAT(k, x'00') WHERE n = {n} AND LENGTH(k) < 15;

DELETE FROM t WHERE k = x'00';
INSERT INTO t VALUES (x'00', -{r:10..99});

DELETE FROM t WHERE n = {n};
