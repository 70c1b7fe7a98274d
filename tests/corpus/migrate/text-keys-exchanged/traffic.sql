UPDATE t SET name = 'away{new}' WHERE name = 'key{n}';
UPDATE t SET name = 'KEY{n}' WHERE name = 'key{m}';
UPDATE t SET name = 'Key{m} ' WHERE name = 'AWAY{new}';

UPDATE t SET name = UPPER(name) WHERE name = 'key{n}';

DELETE FROM t WHERE name = 'key{n}';
INSERT INTO t (name, v) VALUES ('kEY{n}', {r:1..99});
UPDATE t SET name = 'other{new}' WHERE name = 'Key{n}';

UPDATE t SET v = v + 1 WHERE name = 'KEy{n}';
