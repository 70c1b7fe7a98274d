UPDATE t SET {a|aa} = '{text}', {c|cc} = {r:1..9} WHERE id = {n};

INSERT INTO t (id, {a|aa}, d) VALUES ({new}, '{text}', 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new}, d = 4 WHERE id = {n};
