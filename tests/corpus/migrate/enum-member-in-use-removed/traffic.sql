UPDATE t SET e = 'green' WHERE id = {n} AND id <> 222;
