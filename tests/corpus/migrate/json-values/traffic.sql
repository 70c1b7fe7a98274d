UPDATE t SET j = JSON_SET(j, '$.i', {r:1..99}, '$.new', 3.14159265358979e-20) WHERE id = {n};

INSERT INTO t (id, j) VALUES ({new}, '[1.0, -0.0, 123456789012345678]');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
