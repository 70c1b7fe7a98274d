-- only a comment and a default change
CREATE TABLE t (
  id INT NOT NULL PRIMARY KEY,
  v INT NOT NULL DEFAULT 1 COMMENT 'rename this, it''s 100% old'
);
-- rows 300
INSERT INTO t VALUES ({n}, {n});
