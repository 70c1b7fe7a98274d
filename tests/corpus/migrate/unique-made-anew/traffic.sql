UPDATE t SET a = -{new} WHERE id = {n};
UPDATE t SET a = {new} WHERE id = {m};
UPDATE t SET a = {new} + 1000000 WHERE id = {n};

UPDATE t SET b = NULL WHERE id = {n};

INSERT INTO t (id, a, b) VALUES ({new}, {new}, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
