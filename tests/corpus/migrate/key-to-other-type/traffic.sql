DELETE FROM t WHERE id = {n};

INSERT INTO t VALUES ({new}, 'row {new}');

UPDATE t SET id = {new} WHERE id = {n};
