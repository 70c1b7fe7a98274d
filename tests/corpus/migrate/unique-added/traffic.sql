UPDATE t SET u = 'changed{new}@example.org' WHERE id = {n};

INSERT INTO t VALUES ({new}, 'new{new}@example.org');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
