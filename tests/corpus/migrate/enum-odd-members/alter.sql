ALTER TABLE t MODIFY e ENUM('', ' lead', 'it''s', 'a,b', '100%', 'back\\slash', '`tick`') NOT NULL DEFAULT 'it''s';
