UPDATE t SET v = {r:1..99} WHERE id = {n};

DELETE FROM t WHERE id = {n};
