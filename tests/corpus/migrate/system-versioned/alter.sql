SET SESSION system_versioning_alter_history = KEEP;
ALTER TABLE t MODIFY v BIGINT NOT NULL;
