UPDATE t SET e = '{pick:red|green|blue}' WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, 'green');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
