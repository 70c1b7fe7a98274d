UPDATE t SET j = '{"a": [1, "ö"]}' WHERE id = {n};

INSERT INTO t (id, j) VALUES ({new}, '{"b": null}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
