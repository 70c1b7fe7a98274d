UPDATE t SET d = '0000-00-00 00:00:00', e = '2000-01-00' WHERE id = {n};

INSERT INTO t (id, d, e) VALUES ({new}, '2020-02-02 02:02:02', '0000-00-00');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
