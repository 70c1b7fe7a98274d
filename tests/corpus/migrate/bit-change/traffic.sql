UPDATE t SET flags = {r:0..255}, wide = wide + 1 WHERE id = {n};

INSERT INTO t (id, flags, wide) VALUES ({new}, b'1101', NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
