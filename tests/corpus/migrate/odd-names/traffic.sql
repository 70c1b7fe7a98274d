UPDATE t SET `"q" 'x' -- ;` = {r:1..9}, `ünï çødé → 漢` = '%s' WHERE `i``d %s` = {n};

INSERT INTO t (`i``d %s`, `"q" 'x' -- ;`) VALUES ({new}, 1);

UPDATE t SET `i``d %s` = {new} WHERE `i``d %s` = {n};

DELETE FROM t WHERE `i``d %s` = {n};
