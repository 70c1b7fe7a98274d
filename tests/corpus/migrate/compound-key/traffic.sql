UPDATE t SET v = {r:1..99} WHERE b = {n};

UPDATE t SET a = {r:-3..7} WHERE b = {n};

UPDATE t SET b = {new} WHERE b = {n};

INSERT INTO t VALUES ({r:0..4}, {new}, 1);

DELETE FROM t WHERE b = {n};
