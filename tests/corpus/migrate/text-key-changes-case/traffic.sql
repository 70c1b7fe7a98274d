UPDATE t SET name = UPPER(name) WHERE n = {n};

UPDATE t SET name = LOWER(name) WHERE n = {n};

DELETE FROM t WHERE n = {n};
INSERT INTO t VALUES ('KEY of {n}', {n});
