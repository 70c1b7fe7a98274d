INSERT INTO t VALUES ({new}, 'new {new}');
