UPDATE t SET c1 = {r:1..9}, c1000 = {r:1..9} WHERE id = {n};

INSERT INTO t (id) VALUES ({new});
