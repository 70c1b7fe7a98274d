-- allows 1062
UPDATE t SET u = NULL WHERE id = {n};
UPDATE t SET u = {n} + 5000 WHERE id = {m};
UPDATE t SET u = {m} + 5000 WHERE id = {n};
UPDATE t SET u = id + 5000 WHERE id IN ({n}, {m});

UPDATE t SET u = NULL WHERE id = {n};

UPDATE t SET u = id + 5000 WHERE id = {n};
