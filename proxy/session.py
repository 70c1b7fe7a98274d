"""I am what one client's session has that must be carried to another backend, or pins it to the one it is on.

The servers' trackers tell what a statement changed (`apply`); what they do not tell is found in the text of
the statement (`pin`, `release`). tests/proxy/test_trackers.py shows what each server tells.

A pool learns once per server what a fresh session has there: it logs in, runs LEARN, and gives the rows to
`Canonical`. Then it runs `Canonical.setup` on every new or reset connection, which is `Canonical.fresh` from
then on. What is made global on the server later reaches sessions only by a new `Canonical`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from proxy.pins import LEAVES_NOTHING, PinReason, explains
from proxy.session_text import ENDS, ENDS_NAMED, NAMED, collation_of_names, names_in, told_by_text
from proxy.wire.charsets import CharsetNames
from proxy.wire.commands import command
from proxy.wire.constants import Command
from proxy.wire.session_state import StateChange, StateKind
from router.model import Flavor

LEARN: Final = command(Command.QUERY, b"SHOW SESSION VARIABLES")
"""Asks a fresh connection for `Canonical`'s values: rows of name and value."""

SETTLE: Final = command(Command.QUERY, b"SET @@SESSION.session_track_schema=ON")
"""Has the server tell what it could not tell yet: changes by a statement that ended with ERR or EOF.

MySQL would tell with the answer to any command, MariaDB only when something is set.
"""

_CHARSETS: Final = ("character_set_client", "character_set_results", "character_set_connection")
_COLLATION: Final = "collation_connection"
_CHARSET_VARIABLES: Final = (*_CHARSETS, _COLLATION)
_UTF8MB4: Final = CharsetNames("utf8mb4")
_UTF8: Final = frozenset({"utf8mb4", "utf8mb3", "utf8"})

_NOT_STATE: Final = frozenset(
    {
        "statement_id",
        "last_gtid",
        "last_insert_id",
        "identity",
        "error_count",
        "warning_count",
        "gtid_executed",
    }
)
"""What servers report though nobody set it to stay; the last insert id is kept apart."""

_NEVER_CARRIED: Final = frozenset(
    {
        "timestamp",
        "insert_id",
        "rand_seed1",
        "rand_seed2",
        "gtid_next",
        "gtid_seq_no",
        "gtid_domain_id",
        "server_id",
        "sql_log_bin",
        "sql_log_off",
        "original_commit_timestamp",
        "immediate_server_version",
        "original_server_version",
        "require_row_format",
        "skip_replication",
        "skip_parallel_replication",
        "transaction_allow_batching",
        "character_set_database",
        "collation_database",
        "default_collation_for_utf8mb4",
        "debug",
        "debug_sync",
    }
)
_NEVER_CARRIED_PREFIXES: Final = (
    "pseudo_",
    "profiling",
    "optimizer_trace",
    "session_track_",
    "binlog_",
    "wsrep_",
)
_STICKY: Final = frozenset({"timestamp", "insert_id", "rand_seed1", "rand_seed2"})
"""Never-carried variables whose reported value does not tell whether they are back to normal."""

_ALIKE: Final = (
    "sql_mode",
    "time_zone",
    "autocommit",
    "transaction_isolation",
    "tx_isolation",
    "foreign_key_checks",
    "unique_checks",
    "sql_safe_updates",
    "sql_auto_is_null",
    "sql_select_limit",
    "group_concat_max_len",
    "lc_time_names",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
    "max_execution_time",
    "max_statement_time",
)
"""What statements mean depends on these: all backends have them as the first one had."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z", re.IGNORECASE)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?\Z")


@dataclass(frozen=True, slots=True)
class BackendState:
    """What a session has: its schema and the variables that differ from a fresh one's, the charsets always.

    Two states of one pool are equal exactly when their `signature` is.
    """

    signature: int
    schema: str
    variables: Mapping[str, str]


_signatures_made = count(1)
"""One for all: sessions that know different fresh sessions may meet on one backend."""


class Canonical:
    """What a fresh session has on one server, as `LEARN` told."""

    __slots__ = ("_signatures", "flavor", "setup", "values")

    STATES_MAX: Final = 10_000

    def __init__(self, flavor: Flavor, rows: Iterable[tuple[str, str]]) -> None:
        self.flavor = flavor
        self.values: dict[str, str] = {name.lower(): value for name, value in rows}
        self.setup = [command(Command.QUERY, _setup(self.values))]
        """Commands that make a new or reset connection a backend: trackers, and utf8mb4."""
        self._signatures: dict[tuple[object, ...], int] = {}

    def fresh(self, schema: str) -> BackendState:
        """Return the state of a connection to this schema after `setup`."""
        return self.state(schema, self.charset_variables(_UTF8MB4))

    def charset_variables(self, names: CharsetNames | None) -> dict[str, str]:
        """Return the charset variables of a login with these names; None: what the server takes by itself."""
        values = self.values
        if names is None:
            names = CharsetNames(
                values.get("character_set_server", "utf8mb4"), values.get("collation_server", "")
            )
        collation = names.collation
        if names.charset == "utf8mb4" and collation == values.get("default_collation_for_utf8mb4"):
            collation = ""
        return {**dict.fromkeys(_CHARSETS, names.charset), _COLLATION: collation}

    def state(self, schema: str, variables: Mapping[str, str]) -> BackendState:
        """Return a state that can be compared with all others by its signature."""
        key = (schema, *sorted(variables.items()))
        signature = self._signatures.get(key)
        if signature is None:
            if len(self._signatures) >= self.STATES_MAX:
                # Numbers are never used again: forgetting costs a comparison, never a mistake.
                self._signatures.clear()
            signature = self._signatures[key] = next(_signatures_made)
        return BackendState(signature, schema, dict(variables))


class Session:
    """One client's session, wherever it runs.

    `last_insert_id` is set by whoever reads it from OK packets, and by `apply` for a client that sets it.
    """

    __slots__ = (
        "_canonical",
        "_names",
        "_odd",
        "_state",
        "last_insert_id",
        "pins",
        "schema",
        "soiled",
        "variables",
    )

    def __init__(self, canonical: Canonical, schema: str, charset: CharsetNames | None = None) -> None:
        self._canonical = canonical
        self.last_insert_id = 0
        self.pins: set[PinReason] = set()
        self.soiled = False
        """Whether the backend must be reset before another session gets it; set back with a new backend."""
        self.schema = schema
        self.variables: dict[str, str] = {}
        self._odd: set[str] = set()
        self._names: dict[PinReason, set[bytes]] = {}
        self._state: BackendState | None = None
        self.reset(charset)

    def reset(self, charset: CharsetNames | None = None) -> None:
        """Forget everything but the schema, as COM_RESET_CONNECTION does; then `charset` is None."""
        self.variables = self._canonical.charset_variables(charset)
        self.pins.clear()
        self._odd.clear()
        self._names.clear()
        self.last_insert_id = 0
        self._state = None

    @property
    def state(self) -> BackendState:
        """What a backend has that this session just left, unless it is pinned or soiled."""
        if self._state is None:
            self._state = self._canonical.state(self.schema, self.variables)
        return self._state

    @property
    def signature(self) -> int:
        """A number that is the same for equal states."""
        return self.state.signature

    # -- what the server tells ------------------------------------------------------------------------------

    def apply(self, changes: Iterable[StateChange], statement: bytes = b"") -> None:
        """Take what a response told.

        `statement` is the text that was run, `USE` for COM_INIT_DB, nothing when it is not known.
        """
        marked = named = False
        for kind, name, value in changes:
            if kind == StateKind.VARIABLE:
                named = True
                self._variable(name.lower(), value, statement)
            elif kind == StateKind.SCHEMA:
                named = True
                self.schema = value
                self._state = None
            elif kind == StateKind.STATE_CHANGED:
                marked = True
            elif kind == StateKind.CHARACTERISTICS:
                # With START in it a transaction is open, which the status tells.
                self._keep(PinReason.ONE_SHOT, bool(value) and "START" not in value)
            elif kind == StateKind.TRANSACTION_STATE:
                self._keep(PinReason.TABLE_LOCK, value[7:8] == "L")
        if marked and not (named and explains(statement)) and not told_by_text(statement):
            self._add(PinReason.STATE)

    def _variable(self, name: str, value: str, statement: bytes) -> None:
        if name == "last_insert_id":
            self.last_insert_id = int(value) if value.isdecimal() else 0
        if name in _NOT_STATE:
            return
        normal = self._canonical.values.get(name)
        if name in _NEVER_CARRIED or name.startswith(_NEVER_CARRIED_PREFIXES):
            self._set_odd(name, odd=name in _STICKY or value != normal)
        elif not _NAME.match(name) or "\\" in value or "\0" in value:
            self._set_odd(name, odd=True)
        elif name in _CHARSET_VARIABLES:
            self._charset(name, value, statement)
        else:
            self._set_odd(name, odd=False)
            if value == normal:
                self.variables.pop(name, None)
            else:
                self.variables[name] = value
            self._state = None

    def _charset(self, name: str, value: str, statement: bytes) -> None:
        """Take a charset variable; setting the connection's resets its collation, which is not told."""
        self.variables[name] = value
        self._state = None
        if name != "character_set_connection":
            return
        collation = collation_of_names(statement)
        if collation is None:
            self._add(PinReason.CHARSET)
        else:
            self.variables[_COLLATION] = collation

    def _set_odd(self, name: str, *, odd: bool) -> None:
        if odd:
            self._odd.add(name)
            self._add(PinReason.VARIABLE)
        elif name in self._odd:
            self._odd.discard(name)
            self._keep(PinReason.VARIABLE, bool(self._odd))

    # -- what the text tells --------------------------------------------------------------------------------

    def pin(self, reason: PinReason, statement: bytes = b"") -> None:
        """Remember what a statement leaves behind, by `pins.leaves_behind`."""
        if reason is PinReason.SAVEPOINT and "autocommit" not in self.variables:
            # Within a transaction the status says enough; outside of one there is no savepoint.
            return
        if reason in NAMED:
            names = names_in(statement, NAMED[reason])
            self._names.setdefault(reason, set()).update(names or {b""})
        self._add(reason)

    def release(self, statement: bytes) -> None:
        """Take what a statement that went well ended; needed only while there are pins."""
        low = statement.lower()
        for reason, pattern in ENDS:
            if reason in self.pins and pattern.match(low) and not self._keeps_prepared(reason, low):
                self.pins.discard(reason)
        for reason, pattern in ENDS_NAMED:
            if reason in self.pins and pattern.match(low):
                names = self._names.get(reason, set())
                names -= names_in(statement, pattern)
                self._keep(reason, bool(names))
        if PinReason.FOUND_ROWS in self.pins and b"calc_found_rows" not in low:
            self.pins.discard(PinReason.FOUND_ROWS)

    def _keeps_prepared(self, reason: PinReason, low: bytes) -> bool:
        """Say whether an XA transaction that was just prepared is still the session's.

        MySQL lets the session go; on MariaDB a reset of the session would undo what has been prepared, and
        only its end leaves it to others.
        """
        attached = (
            self._canonical.flavor is Flavor.MARIADB
            or self._canonical.values.get("xa_detach_on_prepare") == "OFF"
        )
        return reason is PinReason.XA and attached and b"prepare" in low

    def unpin(self, reason: PinReason) -> None:
        """Take back a reason whose end only the caller knows: a cursor, long data."""
        self.pins.discard(reason)

    def _keep(self, reason: PinReason, there: bool) -> None:
        if there:
            self._add(reason)
        else:
            self.pins.discard(reason)

    def _add(self, reason: PinReason) -> None:
        self.pins.add(reason)
        if reason not in LEAVES_NOTHING:
            self.soiled = True

    # -- on to another backend ------------------------------------------------------------------------------

    def can_follow(self, backend: BackendState) -> bool:
        """Say whether `steps_from` leads to this session: nothing takes a schema away from a connection."""
        return bool(self.schema) or not backend.schema

    def steps_from(self, backend: BackendState) -> list[bytes]:
        """Return the commands that turn a backend with this state into this session.

        Each must be answered with an OK before the client's statement may run.
        """
        if backend.signature == self.signature:
            return []
        steps: list[bytes] = []
        assignments = self._assignments(backend.variables)
        moves = self.schema != backend.schema
        plain = assignments.isascii() and (not moves or self.schema.isascii())
        if not plain and backend.variables["character_set_client"] not in _UTF8:
            steps.append(command(Command.QUERY, b"SET NAMES utf8mb4"))
            assignments = self._assignments({**backend.variables, "character_set_client": "utf8mb4"})
        if moves and self.schema:
            steps.append(command(Command.INIT_DB, _encoded(self.schema)))
        if assignments:
            steps.append(command(Command.QUERY, b"SET " + assignments))
        return steps

    def _assignments(self, had: Mapping[str, str]) -> bytes:
        wanted, normal = self.variables, self._canonical.values
        parts: list[str] = []
        for name, value in wanted.items():
            if name not in _CHARSET_VARIABLES and had.get(name) != value:
                parts.append(f"@@SESSION.{name}={literal(value, normal.get(name))}")
        for name in had:
            if name not in wanted:
                # SHOW VARIABLES does not tell NULL from an empty text.
                usual = normal.get(name, "")
                parts.append(f"@@SESSION.{name}={literal(usual, usual) if usual else 'DEFAULT'}")
        if any(had.get(name) != wanted.get(name) for name in _CHARSET_VARIABLES):
            parts[:0] = _charset_assignments(wanted)
        return _encoded(",".join(parts))


def _charset_assignments(wanted: Mapping[str, str]) -> list[str]:
    """Return what sets the charset variables, as a login or SET NAMES does where that would have done it.

    Only then are the numbers of collations in results the same.
    """
    charset, collation = wanted.get(_CHARSETS[0], ""), wanted.get(_COLLATION, "")
    if charset and all(wanted.get(name) == charset for name in _CHARSETS):
        return [f"NAMES {_quoted(charset)}" + (f" COLLATE {_quoted(collation)}" if collation else "")]
    parts: list[str] = []
    for name in _CHARSET_VARIABLES:
        # The collation comes last: setting the character set has chosen the default one.
        value = wanted.get(name, "")
        if value or name == "character_set_results":
            parts.append(f"@@SESSION.{name}={_quoted(value) if value else 'NULL'}")
    return parts


def _setup(values: Mapping[str, str]) -> bytes:
    """Turn the trackers on, for all variables but those that would be in every answer, and make all alike.

    A new connection has the server's global values of this moment, and so has one after COM_RESET_CONNECTION,
    which forgets the login's character set too. Sessions that move between backends must find the same.
    """
    names = sorted(name for name in values if name not in _NOT_STATE or name == "last_insert_id")
    parts = ["NAMES utf8mb4"]
    parts += [f"@@SESSION.{name}={literal(values[name], values[name])}" for name in _ALIKE if name in values]
    parts += [
        f"@@SESSION.session_track_system_variables='{','.join(names)}'",
        "@@SESSION.session_track_schema=ON",
        "@@SESSION.session_track_state_change=ON",
        "@@SESSION.session_track_transaction_info='CHARACTERISTICS'",
    ]
    return f"SET {','.join(parts)}".encode()


def literal(value: str, normal: str | None) -> str:
    """Write a value as the server takes it back: numbers bare where the fresh value is one too."""
    if _NUMBER.match(value) and (normal is None or _NUMBER.match(normal)):
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    """Quote for every sql_mode; values with a backslash are never carried."""
    return "'" + value.replace("'", "''") + "'"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
