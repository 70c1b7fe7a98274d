UPDATE t SET j = JSON_SET(j, '$.i', {r:1..99}) WHERE id = {n};

INSERT INTO t (id, j) VALUES ({new}, '{}');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

UPDATE t SET j = JSON_REMOVE(j, '$.long'), id = {new} WHERE id = {n};
