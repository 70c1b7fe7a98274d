UPDATE t SET e = '{pick:a|b|c}' WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, 'c');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
