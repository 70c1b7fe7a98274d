-- members with blanks, quotes, commas and nothing
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('', ' lead', 'it''s', 'a,b', '100%', 'back\\slash') NOT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 6);
