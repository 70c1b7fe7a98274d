UPDATE t SET n = n WHERE n = {n};

INSERT INTO t (u, n) VALUES (CONCAT('a23e4567-e89b-12d3-a456-', LPAD({new}, 12, '0')), {new});

UPDATE t SET u = CONCAT('023e4567-e89b-42d3-a456-', LPAD({new}, 12, '0')) WHERE n = {n};

DELETE FROM t WHERE n = {n};
