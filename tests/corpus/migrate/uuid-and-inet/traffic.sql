UPDATE t SET u = '{pick:6|f}23e4567-e89b-1{r:10..99}3-a456-4266554400{r:10..99}', a = '::1' WHERE id = {n};

INSERT INTO t (id, u) VALUES ({new}, '123e4567-e89b-12d3-a456-426655440000');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
