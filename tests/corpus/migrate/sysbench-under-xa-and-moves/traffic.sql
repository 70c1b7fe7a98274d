-- xa
UPDATE t SET v = v + 1 WHERE id = {n};
UPDATE t SET id = {new} WHERE id = {m};

UPDATE t SET u = NULL WHERE id = {n};
UPDATE t SET u = {n} + 100000 WHERE id = {m} AND u IS NULL;
UPDATE t SET u = id + 100000 WHERE id = {n};

INSERT INTO t (id, u, v) VALUES ({new}, {new} + 100000, 1);

DELETE FROM t WHERE id = {n};
