UPDATE t SET v = '{pick:naïve|Ω≈ç√|漢字|ő}{text}' WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, '{pick:ß|şğ|ж}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
