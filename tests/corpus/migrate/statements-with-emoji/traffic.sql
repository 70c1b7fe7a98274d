UPDATE t SET v = '😀{text}' WHERE id = {n};
SELECT SLEEP(0.1), '𝄞';

SELECT SLEEP(0.2), '😀';

INSERT INTO t (id, v) VALUES ({new}, '🦊{text}');

DELETE FROM t WHERE id = {n};
