UPDATE t SET g = {r:1..99} WHERE id = {n};
