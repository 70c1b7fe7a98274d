UPDATE t SET v = CONCAT('ROW ', id) WHERE id = {n};

UPDATE t SET v = CONCAT('row ', id) WHERE id = {n};

INSERT INTO t VALUES ({new}, 'new {new}');

DELETE FROM t WHERE id = {n};
