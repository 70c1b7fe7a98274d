-- one-byte text becomes utf8mb4, copied and written meanwhile
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(40) CHARACTER SET latin1 NOT NULL,
  w TEXT CHARACTER SET latin1 NULL
);
-- rows 400
INSERT INTO t VALUES ({n}, CONCAT('é€ÿ', {n}), CONCAT('ça', {n}));
