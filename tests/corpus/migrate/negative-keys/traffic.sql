UPDATE t SET v = v + 1 WHERE b = -{n};

UPDATE t SET a = {r:-128..127} WHERE b = -{n};

DELETE FROM t WHERE b = -{n};
