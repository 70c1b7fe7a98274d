UPDATE t SET e = 'blue' WHERE id = {n};
