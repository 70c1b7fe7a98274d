-- a client logs less of its rows than the server's setting says
CREATE TABLE t (
  id INT NOT NULL,
  i INT NOT NULL,
  v INT NOT NULL,
  gone VARCHAR(20) NULL,
  PRIMARY KEY (id, i)
);
-- rows 400
INSERT INTO t VALUES ({n}, {n} MOD 4, {n}, 'before');
