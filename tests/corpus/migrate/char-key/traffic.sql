UPDATE t SET code = LEFT(SHA2(CONCAT('k', {new}), 256), 12) WHERE n = {n};

INSERT INTO t VALUES (LEFT(SHA2(CONCAT('n', {new}), 256), 11), {new});

DELETE FROM t WHERE n = {n};
