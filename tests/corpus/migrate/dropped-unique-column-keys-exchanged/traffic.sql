UPDATE t SET id = -{new} WHERE id = {n};
UPDATE t SET id = {n} WHERE id = {m};
UPDATE t SET id = {m} WHERE id = -{new};

UPDATE t SET v = v + 1 WHERE id = {n};

DELETE FROM t WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, 1);
