UPDATE t SET v = v + 1, w = {r:1..9} WHERE id = {n};

INSERT INTO t (id, v) VALUES ({new}, {r:1..999});

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
