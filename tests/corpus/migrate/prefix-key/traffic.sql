UPDATE t SET v = v + 1 WHERE name = 'row {n}';
