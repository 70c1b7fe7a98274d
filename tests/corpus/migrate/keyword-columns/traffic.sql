UPDATE t SET `key` = {r:1..99}, `index` = '{text}' WHERE `order` = {n};

INSERT INTO t (`order`, `key`, `index`) VALUES ({new}, {r:1..9}, '{text}');

DELETE FROM t WHERE `order` = {n};

UPDATE t SET `order` = {new} WHERE `order` = {n};
