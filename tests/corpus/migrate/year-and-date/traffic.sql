UPDATE t SET y = {r:1901..2155}, d = '2024-02-{r:10..29}' WHERE id = {n};

INSERT INTO t (id, y, d) VALUES ({new}, 2000, '9999-12-31');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
