UPDATE t SET s = '2023-01-01 00:00:00' WHERE id = {n} AND id <> 78;
