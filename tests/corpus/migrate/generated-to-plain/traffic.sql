DELETE FROM t WHERE id = {n};
