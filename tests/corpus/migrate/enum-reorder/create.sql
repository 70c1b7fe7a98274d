-- members change places: values go by their text, not by their number
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  e ENUM('red', 'green', 'blue') NOT NULL,
  v INT NULL
);
-- rows 300
INSERT INTO t VALUES ({n}, 1 + {n} MOD 3, {n});
