UPDATE t SET name = CONCAT('ü', {new}) WHERE n = {n};

INSERT INTO t VALUES ('ñ{new}', {new});

DELETE FROM t WHERE n = {n};
