UPDATE t SET v = '😀{text}', w = 'ж' WHERE id = {n};

INSERT INTO t (id, v, w) VALUES ({new}, '☃', NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
