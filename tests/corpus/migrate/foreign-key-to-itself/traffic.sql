-- allows 1451 1452
UPDATE t SET v = {r:1..99} WHERE id = {n};

UPDATE t SET p = {m} WHERE id = {n};

DELETE FROM t WHERE id = {n};
