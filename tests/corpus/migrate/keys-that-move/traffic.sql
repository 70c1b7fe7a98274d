UPDATE t SET id = -{new} WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
UPDATE t SET id = -{new} WHERE id = {new};
UPDATE t SET id = {n} WHERE id = -{new};
