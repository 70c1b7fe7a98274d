UPDATE t SET {amount|cents} = {r:1..99} WHERE id = {n};

INSERT INTO t (id, {amount|cents}) VALUES ({new}, 5);

DELETE FROM t WHERE id = {n};
