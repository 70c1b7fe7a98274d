UPDATE t SET v = {r:1..99} WHERE a = {n};

UPDATE t SET s = s + INTERVAL 1 MICROSECOND WHERE a = {n};

INSERT INTO t (a, s, v) VALUES ({new}, '2024-01-01 00:00:00.0000{r:10..99}', 1);

DELETE FROM t WHERE a = {n};
