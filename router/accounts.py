"""I make our accounts on a server, and prove that the one for traffic cannot change the schema."""

from __future__ import annotations

from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Account, Flavor, Server

# Schema, table, global or routine access denied; stored programs denied to all but SUPER by the binary log.
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
DENIED = frozenset({1044, 1142, 1227, 1370, 1419})
PROBE = "_headgate_probe"

# One statement a right, on things that do not exist, so that only CREATE could leave something behind.
PROBES = {
    "ALTER": f"ALTER TABLE {PROBE} ADD COLUMN probe INT",
    "DROP": f"DROP TABLE {PROBE}",
    "INDEX": f"CREATE INDEX probe ON {PROBE} (probe)",
    "TRIGGER": f"CREATE TRIGGER {PROBE} BEFORE INSERT ON {PROBE} FOR EACH ROW SET @probe = 1",
    "CREATE VIEW": f"CREATE VIEW {PROBE} AS SELECT 1 FROM {PROBE}",
    "ALTER ROUTINE": f"DROP PROCEDURE {PROBE}",
    "EVENT": f"DROP EVENT {PROBE}",
    "CREATE": f"CREATE TABLE {PROBE} (probe INT)",
}
# What a server answers when only the thing itself is missing: table, table to drop, routine, event.
NOTHING_THERE = frozenset({1051, 1146, 1305, 1539})

TRAFFIC_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, SHOW VIEW, CREATE TEMPORARY TABLES, LOCK TABLES"
BRANCH_RIGHTS = "ALL PRIVILEGES"
MIGRATOR_GLOBAL_RIGHTS = {
    Flavor.MYSQL: (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, LOCK TABLES, "
        "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, EXECUTE, CREATE TEMPORARY TABLES, "
        "REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, RELOAD, CONNECTION_ADMIN, SESSION_VARIABLES_ADMIN"
    ),
    Flavor.MARIADB: (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, LOCK TABLES, "
        "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, EXECUTE, CREATE TEMPORARY TABLES, "
        "REPLICATION SLAVE, BINLOG MONITOR, PROCESS, RELOAD, CONNECTION ADMIN, BINLOG ADMIN"
    ),
}


class AccountTooPowerful(Exception):
    """The account for application traffic could change the schema: Headgate must not serve with it."""


async def make_traffic_account(admin: Connection, account: Account, schema: str) -> None:
    """Create the account that carries application traffic on production: rows, never definitions."""
    await _make(admin, account)
    await _grant(admin, TRAFFIC_RIGHTS, f"{_schema_pattern(schema)}.*", account)


async def make_branch_account(admin: Connection, account: Account, schema: str) -> None:
    """Create the account for a development branch: everything, in its own schema only."""
    await _make(admin, account)
    await _grant(admin, BRANCH_RIGHTS, f"{_schema_pattern(schema)}.*", account)
    if admin.server.flavor is Flavor.MYSQL:
        # Reading definitions exactly, and loading dumps, sets session variables that need this right.
        await _grant(admin, "SESSION_VARIABLES_ADMIN", "*.*", account)


async def make_migrator_account(admin: Connection, account: Account) -> None:
    """Create the account of the schema change engine."""
    await _make(admin, account)
    await _grant(admin, MIGRATOR_GLOBAL_RIGHTS[admin.server.flavor], "*.*", account)


async def prove_no_ddl(server: Server, schema: str) -> str:
    """Try every kind of definition statement as the traffic account; return how the server refused CREATE.

    Raises AccountTooPowerful, naming the rights, when the server would have done one, and DatabaseError when
    it cannot be asked.
    """
    refusals, rights, leftover = {}, [], ""
    async with await Connection.open(server, database=schema) as connection:
        for right, statement in PROBES.items():
            try:
                await connection.execute(statement)
            except DatabaseError as refusal:
                if refusal.errno in DENIED:
                    refusals[right] = refusal.message
                    continue
                if refusal.errno not in NOTHING_THERE:
                    raise
            rights.append(right)
        if "CREATE" in rights:
            try:
                await connection.execute(f"DROP TABLE IF EXISTS {PROBE}")
            except DatabaseError:
                leftover = f" (drop the table {PROBE} it has just created)"
    if not rights:
        return refusals["CREATE"]
    raise AccountTooPowerful(
        f"the account {server.account.user!r} for application traffic has the right to {', '.join(rights)} "
        f"in {schema!r} on {server.address}{leftover}: REVOKE CREATE, ALTER, DROP, INDEX, REFERENCES, "
        "TRIGGER, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE and EVENT from it, so that no statement can get "
        "around deploy requests"
    )


async def _make(admin: Connection, account: Account) -> None:
    # An account may change its own password, which would lock out everybody it is shared with. MySQL can ask
    # for the present one first; for MariaDB, whoever starts a branch's server puts it right.
    guard = " PASSWORD REQUIRE CURRENT" if admin.server.flavor is Flavor.MYSQL else ""
    for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
        await admin.execute(f"{verb} %s@%s IDENTIFIED BY %s{guard}", account.user, "%", account.password)


async def _grant(admin: Connection, rights: str, scope: str, account: Account) -> None:
    scope = scope.replace("%", "%%")
    await admin.execute(f"GRANT {rights} ON {scope} TO %s@%s", account.user, "%")


def _schema_pattern(schema: str) -> str:
    r"""Quote a schema name for GRANT, where _ and % are wildcards unless escaped by a backslash."""
    return quote_name(schema.replace("_", "\\_").replace("%", "\\%"))
