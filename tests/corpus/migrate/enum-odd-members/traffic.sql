UPDATE t SET e = '{pick: lead|it''s|a,b|100%|}' WHERE id = {n};

INSERT INTO t (id, e) VALUES ({new}, 'a,b');

DELETE FROM t WHERE id = {n};

UPDATE t SET id = {new} WHERE id = {n};
