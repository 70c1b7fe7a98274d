UPDATE t SET foobar = {r:1..9} WHERE id = {n};

INSERT INTO t (id, foobar) VALUES ({new}, 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
