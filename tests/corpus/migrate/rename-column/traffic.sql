UPDATE t SET {a|title} = '{text}' WHERE id = {n};

INSERT INTO t (id, {a|title}, v) VALUES ({new}, '{text}', 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new}, v = v + 1 WHERE id = {n};
