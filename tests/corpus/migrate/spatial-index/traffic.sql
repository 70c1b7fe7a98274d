UPDATE t SET p = ST_GeomFromText('POINT({r:1..99} {r:1..99})') WHERE id = {n};

INSERT INTO t (id, p) VALUES ({new}, ST_GeomFromText('POINT(-1 -1)'));

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
