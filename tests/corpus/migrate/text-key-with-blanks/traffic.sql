UPDATE t SET name = CONCAT(TRIM(name), '  ') WHERE n = {n};

UPDATE t SET name = TRIM(name) WHERE n = {n};

UPDATE t SET name = CONCAT('x', name) WHERE n = {n} AND LENGTH(name) < 20;
