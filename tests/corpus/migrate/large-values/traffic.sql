UPDATE t SET v = v + 1 WHERE id = {n};

UPDATE t SET b = REPEAT(UNHEX(SHA2('{text}', 256)), {r:1..9000}) WHERE id = {n};

INSERT INTO t VALUES ({new}, x'00', 1);

DELETE FROM t WHERE id = {new} - 3;
