UPDATE t SET v = '{pick:üöä|Ñandú|¡€!}{text}', w = NULL WHERE id = {n};

INSERT INTO t (id, v, w) VALUES ({new}, 'ÆØÅ', 'ž{text}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
