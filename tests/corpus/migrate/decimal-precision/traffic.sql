UPDATE t SET price = {r:1..99}.{r:10..99}, tax = -0.0001 WHERE id = {n};

INSERT INTO t (id, price, tax) VALUES ({new}, -{r:1..9}.05, NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
