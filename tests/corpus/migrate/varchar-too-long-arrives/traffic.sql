UPDATE t SET v = 'much too long for ten' WHERE id = {n};
