-- rows exchange their keys, and the dropped columns that follow them are unique and checked
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL,
  gone INT NULL,
  both_of INT AS (gone + 1) STORED,
  UNIQUE KEY gone (gone),
  UNIQUE KEY both_of (both_of),
  CONSTRAINT positive CHECK (gone > 0)
);
-- rows 400
INSERT INTO t (id, v, gone) VALUES ({n}, {n}, {n});
