UPDATE t SET s = '{pick:a|a,b|c|a,c|}' WHERE id = {n};

INSERT INTO t (id, s) VALUES ({new}, NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
