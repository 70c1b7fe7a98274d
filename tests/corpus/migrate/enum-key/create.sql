-- an ENUM in the key, in the order of its members
CREATE TABLE t (
  e ENUM('z', 'a', 'm') NOT NULL,
  n INT NOT NULL,
  v INT NOT NULL,
  PRIMARY KEY (e, n),
  KEY n (n)
);
-- rows 600
INSERT INTO t VALUES (1 + {n} MOD 3, {n}, {n});
