UPDATE t SET s = '2023-0{r:1..9}-11 10:{r:10..59}:00.125' WHERE id = {n};

INSERT INTO t (id, s) VALUES ({new}, NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
