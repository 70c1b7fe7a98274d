# Run once by the production container: Headgate's two accounts. The one for application traffic changes rows and
# never definitions; the one for schema changes is used by Headgate's control process only.
# In GRANT, _ and % in a database's name are wildcards unless escaped.
database=$(printf '%s' "$MYSQL_DATABASE" | sed 's/[_%]/\\&/g')
docker_process_sql <<SQL
CREATE USER 'headgate_proxy'@'%' IDENTIFIED BY '${TRAFFIC_PASSWORD}';
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, SHOW VIEW, CREATE TEMPORARY TABLES, LOCK TABLES
  ON \`${database}\`.* TO 'headgate_proxy'@'%';

CREATE USER 'headgate_migrator'@'%' IDENTIFIED BY '${MIGRATOR_PASSWORD}';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, LOCK TABLES,
  CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, EXECUTE, CREATE TEMPORARY TABLES
  ON \`${database}\`.* TO 'headgate_migrator'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, LOCK TABLES,
  CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, EXECUTE, CREATE TEMPORARY TABLES
  ON \`\\_headgate\`.* TO 'headgate_migrator'@'%';
GRANT REFERENCES, REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, SHOW_ROUTINE, CONNECTION_ADMIN,
  SESSION_VARIABLES_ADMIN, SET_ANY_DEFINER, XA_RECOVER_ADMIN
  ON *.* TO 'headgate_migrator'@'%';
GRANT SELECT ON performance_schema.* TO 'headgate_migrator'@'%';
GRANT SELECT ON mysql.procs_priv TO 'headgate_migrator'@'%';
SQL
