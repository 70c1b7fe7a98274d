UPDATE t SET b = {r:1..9} WHERE id = {n};

INSERT INTO t (id, b) VALUES ({new}, {r:1..9});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
