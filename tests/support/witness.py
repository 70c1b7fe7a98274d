"""I see what a server holds besides rows, and can put it back: what the guard's tests compare."""

from __future__ import annotations

from router.database import Connection

_INTERNAL = "('information_schema', 'performance_schema', 'sys', 'mysql')"
_SEEN = tuple(
    " ".join(question.split())
    for question in (
        f"""SELECT table_schema, table_name, table_type, engine, create_options FROM information_schema.tables
            WHERE table_schema NOT IN {_INTERNAL} AND table_type <> 'TEMPORARY' ORDER BY 1, 2""",
        f"""SELECT table_schema, table_name, column_name, ordinal_position, column_type
            FROM information_schema.columns WHERE table_schema NOT IN {_INTERNAL} ORDER BY 1, 2, 3""",
        f"""SELECT table_schema, table_name, index_name, seq_in_index, column_name
            FROM information_schema.statistics WHERE table_schema NOT IN {_INTERNAL} ORDER BY 1, 2, 3, 4""",
        "SELECT routine_schema, routine_name, routine_type FROM information_schema.routines ORDER BY 1, 2, 3",
        "SELECT trigger_schema, trigger_name FROM information_schema.triggers ORDER BY 1, 2",
        "SELECT event_schema, event_name, status FROM information_schema.events ORDER BY 1, 2",
        "SELECT table_schema, table_name, view_definition FROM information_schema.views ORDER BY 1, 2",
        "SELECT schema_name, default_collation_name FROM information_schema.schemata ORDER BY 1",
        "SELECT user, host, authentication_string FROM mysql.user ORDER BY 1, 2",
        "SELECT grantee, privilege_type FROM information_schema.user_privileges ORDER BY 1, 2",
        "SELECT @@global.max_connections, @@global.sql_mode, @@global.read_only",
    )
)

_MAKE = (
    "DROP DATABASE IF EXISTS {0}",
    "CREATE DATABASE {0}",
    "CREATE TABLE {0}.t (a INT PRIMARY KEY, b INT, KEY (b))",
    "CREATE VIEW {0}.v AS SELECT a FROM {0}.t",
    "CREATE PROCEDURE {0}.p() INSERT INTO {0}.t VALUES (NULL, 1)",
)


class Witness:
    """A connection of its own that sees what the server holds, and can put it back."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._state: list[object] = []

    async def changed(self) -> bool:
        """Whether anything is not as `restore` left it; if so it is put back."""
        changed = await self._read() != self._state
        if changed:
            await self.restore()
        return changed

    async def restore(self) -> None:
        """Make everything as it was: table t, view v and procedure p in the schema."""
        for statement in (*_MAKE, "DROP USER IF EXISTS hg_guard_test", "SET GLOBAL max_connections = 151"):
            await self._connection.execute(statement.format(self._schema))
        self._state = await self._read()

    async def accept(self) -> None:
        """Take what is there now for right."""
        self._state = await self._read()

    async def _read(self) -> list[object]:
        return [await self._connection.fetch_all(question) for question in _SEEN]
