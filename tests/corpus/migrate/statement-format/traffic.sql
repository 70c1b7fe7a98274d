-- alone
-- session SET SESSION binlog_format = 'STATEMENT'
UPDATE t SET v = {r:1..99} WHERE id = {n};
