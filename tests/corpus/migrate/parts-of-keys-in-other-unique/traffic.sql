-- allows 1062
UPDATE t SET b = {new} WHERE a = {n};
UPDATE t SET b = {r:1..5} WHERE a = {n};

UPDATE t SET c = -{new} WHERE a = {n};
UPDATE t SET c = {n} WHERE a = {m} AND c < 0;

UPDATE t SET b = {r:1..5}, c = {new} WHERE a = {n};
