UPDATE t SET d = '2023-0{r:1..9}-11 10:{r:10..59}:00' WHERE id = {n};

INSERT INTO t (id, d) VALUES ({new}, '1970-01-02 00:00:00');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
