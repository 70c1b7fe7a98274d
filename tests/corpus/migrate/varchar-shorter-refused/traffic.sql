UPDATE t SET v = '{text}' WHERE id = {n} AND id <> 388;
