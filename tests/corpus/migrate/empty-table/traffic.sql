INSERT INTO t (id, v) VALUES ({auto}, {r:1..99});

UPDATE t SET v = v + 1;
