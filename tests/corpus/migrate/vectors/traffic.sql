UPDATE t SET e = STRING_TO_VECTOR('[{r:1..9}, 1e-5, 3]') WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, STRING_TO_VECTOR('[1, 2, 3]'));

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
