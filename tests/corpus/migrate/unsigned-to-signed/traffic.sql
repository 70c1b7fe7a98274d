UPDATE t SET u = {r:0..65535}, s = {r:0..32767} WHERE id = {n};

INSERT INTO t (id, u, s) VALUES ({new}, 65535, 0);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
