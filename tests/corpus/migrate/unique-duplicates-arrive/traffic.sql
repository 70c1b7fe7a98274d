INSERT INTO t VALUES ({new}, -5);
