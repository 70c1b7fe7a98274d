-- a dropped column keeps its values for the way back, also when the key changes
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  gone VARCHAR(30) NOT NULL DEFAULT 'as before',
  v INT NOT NULL
);
-- rows 500
INSERT INTO t VALUES ({n}, 'value {n}', {n});
