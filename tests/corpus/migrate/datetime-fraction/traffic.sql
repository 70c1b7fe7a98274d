UPDATE t SET d = '1970-01-01 00:00:{r:10..59}', c = '00:00:00.{r:10..99}' WHERE id = {n};

INSERT INTO t (id, d, s, c) VALUES ({new}, '9999-12-31 00:00:00', NULL, '12:34:56.78');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
