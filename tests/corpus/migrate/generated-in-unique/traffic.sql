UPDATE t SET mail = 'changed{new}@Example.org' WHERE id = {n};

INSERT INTO t (id, mail) VALUES ({new}, 'NEW{new}@example.org');

DELETE FROM t WHERE id = {n};
