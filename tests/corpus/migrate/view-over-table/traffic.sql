UPDATE seen SET v = {r:1..99} WHERE id = {n};

INSERT INTO seen (id, v) VALUES ({new}, 1);

DELETE FROM t WHERE id = {n};
