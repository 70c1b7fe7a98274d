UPDATE t SET n = n WHERE n = {n};

UPDATE t SET k = CONCAT('k', CHAR({new} DIV 256, {new} MOD 256), x'0000') WHERE n = {n};

INSERT INTO t VALUES (CONCAT('i', CHAR({new} DIV 256, {new} MOD 256), x'00'), {new});

DELETE FROM t WHERE n = {n};
