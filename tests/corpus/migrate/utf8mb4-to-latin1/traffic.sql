UPDATE t SET v = '{pick:üöä|Ñandú|¡!}{text}' WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, 'ÆØÅ');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
