UPDATE t SET v = {r:1..9} WHERE id = {n} AND id <> 369;
