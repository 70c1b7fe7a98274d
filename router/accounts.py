"""I make our accounts on a server, and prove that those for traffic cannot change the schema."""

from __future__ import annotations

from collections.abc import Mapping

from router import grants
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Account, Flavor, Role, Server

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
_UNSEEN = (
    "its grants do not show why; REVOKE what accounts without a name may do there, or use another account"
)
# What a server answers when only the thing itself is missing: table, table to drop, routine, event.
NOTHING_THERE = frozenset({1051, 1146, 1305, 1539})

TRAFFIC_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, SHOW VIEW, CREATE TEMPORARY TABLES, LOCK TABLES"
READER_RIGHTS = "SELECT, SHOW VIEW"
WRITER_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, CREATE TEMPORARY TABLES, LOCK TABLES"
"""UPDATE and DELETE read what their conditions name, so a writer needs SELECT too."""
BRANCH_RIGHTS = "ALL PRIVILEGES"
MIGRATOR_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, LOCK TABLES, "
    "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, EXECUTE, CREATE TEMPORARY TABLES"
)
"""In the production schema, and in the schema where deployments keep their state."""
MIGRATOR_SCHEMA = "_headgate"
DEFINER_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, SHOW VIEW, CREATE TEMPORARY TABLES, TRIGGER, EVENT"
"""What new triggers, routines and events may do; servers want the last two of a definer when they run."""
# REFERENCES everywhere shows foreign keys of other schemas that lead to our tables, and no rows.
MIGRATOR_GLOBAL_RIGHTS = {
    Flavor.MYSQL: (
        "REFERENCES, REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, SHOW_ROUTINE, CONNECTION_ADMIN, "
        "SESSION_VARIABLES_ADMIN, SET_ANY_DEFINER, XA_RECOVER_ADMIN"
    ),
    Flavor.MARIADB: (
        "REFERENCES, REPLICATION SLAVE, BINLOG MONITOR, PROCESS, CONNECTION ADMIN, BINLOG ADMIN, SET USER"
    ),
}
# What the right to let a program belong to somebody else was called before MySQL 8.2.
_SET_DEFINER, _SET_DEFINER_ONCE = "SET_ANY_DEFINER", "SET_USER_ID"
MIGRATOR_READS = {
    Flavor.MYSQL: ("performance_schema.*", "mysql.procs_priv"),
    Flavor.MARIADB: ("performance_schema.*", "mysql.proc"),
}
"""What it reads of the server's own: who waits for whom, the text of routines, or who may call them."""
REPLICATION_GLOBAL_RIGHTS = {
    Flavor.MYSQL: "REPLICATION SLAVE, REPLICATION CLIENT",
    Flavor.MARIADB: "REPLICATION SLAVE, BINLOG MONITOR",
}
REPLICATION_RIGHTS = "SHOW VIEW"
"""Without any right in the schema nobody may log in to it."""

_SCHEMA_RIGHTS = {
    Role.READER: READER_RIGHTS,
    Role.WRITER: WRITER_RIGHTS,
    Role.READWRITER: TRAFFIC_RIGHTS,
    Role.ADMIN: TRAFFIC_RIGHTS,
    Role.REPLICATION: REPLICATION_RIGHTS,
}
_ALLOWED = {
    Role.READER: frozenset({"SELECT", "SHOW VIEW"}),
    Role.WRITER: grants.ROWS,
    Role.READWRITER: grants.ROWS,
    Role.ADMIN: grants.ROWS,
    Role.REPLICATION: frozenset({"SHOW VIEW", "REPLICATION SLAVE"}),
}


class AccountTooPowerful(Exception):
    """The account for application traffic could change the schema: Headgate must not serve with it."""


async def make_traffic_account(admin: Connection, account: Account, schema: str) -> None:
    """Create the account that carries application traffic on production: rows, never definitions."""
    await make_role_accounts(admin, {Role.READWRITER: account}, schema)


async def make_role_accounts(admin: Connection, accounts: Mapping[Role, Account], schema: str) -> None:
    """Create the accounts that carry the traffic of users with these roles, with the rights of each."""
    for role, account in accounts.items():
        await _make(admin, account)
        await _grant(admin, _SCHEMA_RIGHTS[role], f"{_schema_pattern(schema)}.*", account)
        everywhere = REPLICATION_GLOBAL_RIGHTS[admin.server.flavor] if role is Role.REPLICATION else ""
        if everywhere:
            await _grant(admin, everywhere, "*.*", account)
        await _trim(admin, account, everywhere=everywhere)


async def make_branch_account(admin: Connection, account: Account, schema: str) -> None:
    """Create the account for a development branch: everything, in its own schema only."""
    await _make(admin, account)
    await _grant(admin, BRANCH_RIGHTS, f"{_schema_pattern(schema)}.*", account)
    if admin.server.flavor is Flavor.MYSQL:
        # Reading definitions exactly, and loading dumps, sets session variables that need this right.
        await _grant(admin, "SESSION_VARIABLES_ADMIN", "*.*", account)


async def make_rows_account(admin: Connection, account: Account, schema: str) -> None:
    """Leave the account of a branch with the rights of application traffic: rows, never definitions."""
    await _make(admin, account)
    # At once and for all: whatever it was given, here or by whoever uses it.
    await admin.execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s", account.user, "%")
    await make_traffic_account(admin, account, schema)


async def make_migrator_account(admin: Connection, account: Account, schema: str) -> None:
    """Create the account of the schema change engine: everything in one schema, little beyond it."""
    await _make(admin, account)
    for name in (schema, MIGRATOR_SCHEMA):
        await _grant(admin, MIGRATOR_RIGHTS, f"{_schema_pattern(name)}.*", account)
    flavor = admin.server.flavor
    everywhere = MIGRATOR_GLOBAL_RIGHTS[flavor]
    if flavor is Flavor.MYSQL and _release(admin.server) < (8, 2):
        everywhere = everywhere.replace(_SET_DEFINER, _SET_DEFINER_ONCE)
    await _grant(admin, everywhere, "*.*", account)
    for scope in MIGRATOR_READS[flavor]:
        await _grant(admin, "SELECT", scope, account)
    await _trim(admin, account, everywhere=everywhere)


async def make_definer(admin: Connection, user: str, schema: str) -> None:
    """Create the account that new triggers, routines and events belong to; nobody can log in with it."""
    await admin.execute("CREATE USER IF NOT EXISTS %s@%s ACCOUNT LOCK", user, "%")
    await admin.execute("ALTER USER %s@%s ACCOUNT LOCK", user, "%")
    await _grant(admin, DEFINER_RIGHTS, f"{_schema_pattern(schema)}.*", Account(user, ""))


async def prove_no_ddl(server: Server, schema: str, role: Role = Role.READWRITER) -> str:
    """Prove that an account for traffic cannot change the schema; return how the server refused CREATE.

    Every kind of definition statement is tried, for what the server does is what counts; and every grant is
    read, with all roles that the account could take, for what could be done elsewhere or by a detour.

    Raises AccountTooPowerful, naming the rights, the grants and what takes them back, and DatabaseError when
    it cannot be asked.
    """
    refusals, rights, leftover = {}, [], ""
    async with await Connection.open(server, database=schema, setup=["SET SESSION sql_mode = ''"]) as link:
        for right, statement in PROBES.items():
            try:
                await link.execute(statement)
            except DatabaseError as refusal:
                if refusal.errno in DENIED:
                    refusals[right] = refusal.message
                    continue
                if refusal.errno not in NOTHING_THERE:
                    raise
            rights.append(right)
        if "CREATE" in rights:
            try:
                await link.execute(f"DROP TABLE IF EXISTS {PROBE}")
            except DatabaseError:
                leftover = f" (drop the table {PROBE} it has just created)"
        excesses = await _excesses(link, role)
    if not rights and not excesses:
        return refusals["CREATE"]
    may = f"the right to {', '.join(rights)} in {schema!r}" if rights else "rights that it must not have"
    named = "; ".join(f"{excess.grant} (take it back: {excess.remedy})" for excess in excesses)
    raise AccountTooPowerful(
        f"the account {server.account.user!r} for application traffic has {may} on {server.address}{leftover}"
        f", so that statements could get around deploy requests: {named or _UNSEEN}"
    )


async def _excesses(link: Connection, role: Role) -> list[grants.Excess]:
    """Return the grants of this connection's account, and of every role it could take, that are too much."""
    # Otherwise what the roles of a fresh session give would look like the account's own.
    await link.execute("SET ROLE NONE")
    own = await _show_grants(link, "SHOW GRANTS FOR CURRENT_USER()")
    if link.server.flavor is Flavor.MARIADB:
        own += await _public_grants(link)
    found = grants.excesses(own, _ALLOWED[role])
    for name, mandatory in await _roles(link):
        with_role = await _grants_with(link, name)
        more = grants.excesses([grant for grant in with_role if grant not in own], _ALLOWED[role])
        remedy = f"take {name} out of mandatory_roles" if mandatory else f"REVOKE {name} FROM {_myself(own)}"
        found += [grants.Excess(f"{excess.grant} (by the role {name})", remedy) for excess in more]
    return found


async def _roles(link: Connection) -> list[tuple[str, bool]]:
    """Return the roles that were given to the account, quoted, and whether everybody has them."""
    if link.server.flavor is Flavor.MYSQL:
        rows = await link.fetch_all(
            "SELECT ROLE_NAME, ROLE_HOST, IS_MANDATORY FROM information_schema.APPLICABLE_ROLES "
            "WHERE CONCAT(GRANTEE, '@', GRANTEE_HOST) = CURRENT_USER()"
        )
        return [(f"{quote_name(name)}@{quote_name(host)}", must == "YES") for name, host, must in rows]
    rows = await link.fetch_all(
        "SELECT ROLE_NAME FROM information_schema.APPLICABLE_ROLES WHERE GRANTEE = CURRENT_USER()"
    )
    return [(quote_name(name), False) for (name,) in rows]


async def _grants_with(link: Connection, role: str) -> list[grants.Grant]:
    """Return the account's grants with one of its roles taken."""
    if link.server.flavor is Flavor.MYSQL:
        return await _show_grants(link, f"SHOW GRANTS FOR CURRENT_USER() USING {role}")
    await link.execute(f"SET ROLE {role}")
    try:
        return await _show_grants(link, "SHOW GRANTS")
    finally:
        await link.execute("SET ROLE NONE")


async def _public_grants(link: Connection) -> list[grants.Grant]:
    """Return what everybody may do; MariaDB knows of that from 10.11 on."""
    try:
        return await _show_grants(link, "SHOW GRANTS FOR PUBLIC")
    except DatabaseError:
        return []


async def _show_grants(link: Connection, statement: str) -> list[grants.Grant]:
    lines = [str(line) for (line,) in await link.fetch_all(statement)]
    try:
        return grants.parse(lines)
    except ValueError as error:
        user = link.server.account.user
        raise AccountTooPowerful(f"the account {user!r} for application traffic has {error}") from None


def _myself(own: list[grants.Grant]) -> str:
    return next((grant.grantee for grant in own if grant.grantee != "PUBLIC"), "it")


async def warn_of_migrator(server: Server) -> list[str]:
    """Return a warning for each grant that gives the migrator's account more than it needs.

    Nothing is refused: installations from before the account was narrowed go on working.
    """
    async with await Connection.open(server, setup=["SET SESSION sql_mode = ''"]) as link:
        own = await _show_grants(link, "SHOW GRANTS FOR CURRENT_USER()")
    needed = {*MIGRATOR_GLOBAL_RIGHTS[server.flavor].split(", "), _SET_DEFINER_ONCE}
    return [
        f"the account {server.account.user!r} for schema changes may do more than it needs: {excess.grant}; "
        f"give it what the manual lists, then {excess.remedy}"
        for excess in grants.excesses([grant for grant in own if grant.scope == "*.*"], needed)
    ]


def _release(server: Server) -> tuple[int, ...]:
    return tuple(int(part) for part in server.version.split("-")[0].split(".")[:2])


async def _make(admin: Connection, account: Account) -> None:
    # An account may change its own password, which would lock out everybody it is shared with. MySQL can ask
    # for the present one first; for MariaDB, whoever starts a branch's server puts it right.
    guard = " PASSWORD REQUIRE CURRENT" if admin.server.flavor is Flavor.MYSQL else ""
    for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
        await admin.execute(f"{verb} %s@%s IDENTIFIED BY %s{guard}", account.user, "%", account.password)


async def _trim(admin: Connection, account: Account, *, everywhere: str) -> None:
    """Take back what an earlier version gave beyond these rights on everything.

    Only that: who works with the account meanwhile must not be without a right for a moment.
    """
    lines = await admin.fetch_all("SHOW GRANTS FOR %s@%s", account.user, "%")
    own = grants.parse(str(line) for (line,) in lines)
    wide = [grant for grant in own if grant.scope == "*.*"]
    for excess in grants.excesses(wide, everywhere.split(", ")):
        await admin.execute(excess.remedy)


async def _grant(admin: Connection, rights: str, scope: str, account: Account) -> None:
    scope = scope.replace("%", "%%")
    await admin.execute(f"GRANT {rights} ON {scope} TO %s@%s", account.user, "%")


def _schema_pattern(schema: str) -> str:
    r"""Quote a schema name for GRANT, where _ and % are wildcards unless escaped by a backslash."""
    return quote_name(schema.replace("_", "\\_").replace("%", "\\%"))
