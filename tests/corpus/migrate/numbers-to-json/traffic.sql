UPDATE t SET u = '{r:1..99}', d = '{r:1..99}.1250' WHERE id = {n};

INSERT INTO t (id, u, d, f, y) VALUES ({new}, '5', '7.5000', '2', '2001');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
