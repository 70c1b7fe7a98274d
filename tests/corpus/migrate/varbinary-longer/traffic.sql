UPDATE t SET raw = UNHEX(SHA2('{text}', 256)), more = x'0000' WHERE id = {n};

INSERT INTO t (id, raw, more) VALUES ({new}, x'{pick:00|ff00|20|c3}', NULL);

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
