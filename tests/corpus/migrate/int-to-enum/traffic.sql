UPDATE t SET e = {r:1..3} WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, 2);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
