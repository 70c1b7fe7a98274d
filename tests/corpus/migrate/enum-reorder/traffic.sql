UPDATE t SET e = '{pick:red|green|blue}', v = v + 1 WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, 'blue');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
