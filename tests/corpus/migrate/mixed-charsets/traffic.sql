UPDATE t SET a = 'ü', b = '{text}漢😀', c = NULL, e = 'ёж' WHERE id = {n};

INSERT INTO t (id, a, b, c, d, e) VALUES ({new}, 'ß', '𝄞', '→', 'x{text}', 'яд');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
