UPDATE t SET {a|b} = {r:1..99} WHERE id = {n};

INSERT INTO t (id, {a|b}) VALUES ({new}, 5);

DELETE FROM t WHERE id = {n};
