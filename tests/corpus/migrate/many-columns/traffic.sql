UPDATE t SET c1 = {r:1..9}, c298 = {r:1..9} WHERE id = {n};

INSERT INTO t (id) VALUES ({new});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
