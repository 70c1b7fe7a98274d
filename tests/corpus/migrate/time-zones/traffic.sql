UPDATE t SET s = '2022-05-05 23:{r:10..59}:00', d = '2022-05-05 23:{r:10..59}:00' WHERE id = {n};

INSERT INTO t (id, s, d, v) VALUES ({new}, '2001-01-01 01:01:01', '2001-01-01 01:01:01', 1);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
