UPDATE t SET raw = CONCAT('{text}', REPEAT(x'00', 8 - {r:8..8})) WHERE id = -1;

UPDATE t SET raw = RPAD('{text}', 8, x'00') WHERE id = {n};

INSERT INTO t VALUES ({new}, RPAD('z', 8, x'00'));

DELETE FROM t WHERE id = {n};
