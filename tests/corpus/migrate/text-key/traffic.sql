UPDATE t SET v = v + 1 WHERE n = {n};

UPDATE t SET name = CONCAT('Ö', name) WHERE n = {n} AND LENGTH(name) < 20;

INSERT INTO t VALUES ('ß{new}', {new}, 1);

DELETE FROM t WHERE n = {n};
