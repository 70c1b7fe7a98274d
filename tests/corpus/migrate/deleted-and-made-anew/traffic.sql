DELETE FROM t WHERE id = {n};
INSERT INTO t (id, v) VALUES ({n}, {r:1..99});

DELETE FROM t WHERE id = {n};
UPDATE t SET id = {n} WHERE id = {m};

DELETE FROM t WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, 1);
UPDATE t SET id = -{new} WHERE id = {new};

UPDATE t SET id = -{new} WHERE id = {n};
UPDATE t SET id = {n} WHERE id = {m};
UPDATE t SET id = {m} WHERE id = -{new};
