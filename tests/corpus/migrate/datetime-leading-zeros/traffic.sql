UPDATE t SET d = '2021-12-31 23:59:59.0000{r:10..99}', s = '2021-01-01 00:00:00.00{r:1000..9999}' WHERE id = {n};

INSERT INTO t (id, d) VALUES ({new}, '2000-01-01 00:00:00.012340');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
