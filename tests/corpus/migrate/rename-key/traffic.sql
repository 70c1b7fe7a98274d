UPDATE t SET v = v + 1 WHERE {id|number} = {n};

INSERT INTO t ({id|number}, v) VALUES ({new}, 5);

UPDATE t SET {id|number} = {new} WHERE {id|number} = {n};

DELETE FROM t WHERE {id|number} = {n};
