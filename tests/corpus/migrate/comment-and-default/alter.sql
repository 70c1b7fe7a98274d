ALTER TABLE t MODIFY v INT NOT NULL DEFAULT 1 COMMENT 'change column v w int; -- /* not a comment */ 50%', COMMENT = 'drop "nothing" `at` all \\ %s';
