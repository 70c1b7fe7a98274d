UPDATE t SET s = '{r:1..9}' WHERE id = {n} AND id <> 77;
