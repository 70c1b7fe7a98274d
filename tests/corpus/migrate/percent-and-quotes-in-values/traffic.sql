UPDATE t SET v = '%s{text}''\\' WHERE id = {n};

INSERT INTO t (id) VALUES ({new});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
