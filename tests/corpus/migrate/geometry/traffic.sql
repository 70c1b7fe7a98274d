UPDATE t SET g = ST_GeomFromText('POINT({r:1..99} {r:1..99})'), p = NULL WHERE id = {n};

INSERT INTO t (id, g) VALUES ({new}, ST_GeomFromText('MULTIPOINT(1 1, 2 2)'));

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
