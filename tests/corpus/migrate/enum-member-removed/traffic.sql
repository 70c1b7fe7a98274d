UPDATE t SET e = '{pick:red|green}' WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
