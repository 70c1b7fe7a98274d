UPDATE t SET mail = '{text}' WHERE id = {n};

INSERT INTO t (id, mail) VALUES ({new}, 'X{text}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
