UPDATE t SET f = {r:1..99}.5, d = 1.7976931348623157e308 WHERE id = {n};

INSERT INTO t (id, f, d) VALUES ({new}, -0.25, 5e-324);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
