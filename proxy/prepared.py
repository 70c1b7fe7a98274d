"""I know the prepared statements of clients, and which of them a backend has.

A client's number for a statement is ours. A backend learns a statement when it is needed there, and forgets
the one that was used longest ago when it knows too many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.errors import NotPassedOn, ProxyError
from proxy.pins import asks_about_last, leaves_behind, soils
from proxy.wire.commands import command
from proxy.wire.constants import Command
from proxy.wire.execute import insert_types, parse_execute, types_in, with_types
from proxy.wire.framing import HEADER_BYTES, PacketTail
from router.classify import Kind
from router.tokens import Quoting

BYTES_MAX: Final = 2 << 20
"""How long the texts of all statements that one backend knows may be together."""

_ID_AT: Final = HEADER_BYTES + 1
_ID_END: Final = _ID_AT + 4


class Meaning(NamedTuple):
    """What a statement's effect depends on, besides its text: these are part of a prepared statement.

    `variables` are those that change how a text is read, with their values.
    """

    schema: str
    variables: tuple[tuple[str, str], ...]


StatementKey = tuple[bytes, Meaning]


class BackendStatement:
    """A statement as one backend knows it.

    `number` is the server's id as it goes over the wire. `types` are the parameter types that were bound
    there last: whoever did so, they are what an execution without types would use. `held` counts open cursors
    and parameters sent ahead; one that is `displaced` was replaced meanwhile, and is closed when they are
    over. Once it is `gone`, its number means nothing.
    """

    __slots__ = ("displaced", "gone", "held", "number", "types")

    def __init__(self, number: int) -> None:
        self.number = number.to_bytes(4, "little")
        self.types = b""
        self.held = 0
        self.displaced = False
        self.gone = False

    def close(self) -> bytes:
        """Return the command that closes it."""
        self.gone = True
        return command(Command.STMT_CLOSE, self.number)


class BackendStatements:
    """The statements one backend knows, the most recently used last."""

    __slots__ = ("_bytes", "_known")

    def __init__(self) -> None:
        self._bytes = 0
        self._known: OrderedDict[StatementKey, BackendStatement] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: StatementKey) -> BackendStatement | None:
        """Return a statement and call it used; None when the backend does not have it."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def add(self, key: StatementKey, number: int, limit: int) -> tuple[BackendStatement, list[bytes]]:
        """Know a statement that was prepared, and return it with the commands that close others for it."""
        closing: list[bytes] = []
        known = self._known.get(key)
        if known is not None and known.held:
            known.displaced = True
        elif known is not None:
            closing.append(self._close(key))
        if self._is_too_much(key, limit):
            for other in [*self._known]:
                if not self._known[other].held:
                    closing.append(self._close(other))
                if not self._is_too_much(key, limit):
                    break
        if key not in self._known:
            self._bytes += len(key[0])
        statement = self._known[key] = BackendStatement(number)
        self._known.move_to_end(key)
        return statement, closing

    def forget(self, concerns: Callable[[bytes], object]) -> list[bytes]:
        """Forget the statements whose text is concerned, and return the commands that close them."""
        stale = [key for key, known in self._known.items() if not known.held and concerns(key[0])]
        return [self._close(key) for key in stale]

    def drop(self, key: StatementKey) -> list[bytes]:
        """Forget one statement, and return the command that closes it."""
        return [self._close(key)] if key in self._known else []

    def clear(self) -> None:
        """Forget all: the server has."""
        for statement in self._known.values():
            statement.gone = True
        self._known.clear()
        self._bytes = 0

    def _is_too_much(self, key: StatementKey, limit: int) -> bool:
        """Say whether there is no room for one more."""
        return len(self._known) >= limit or self._bytes + len(key[0]) > BYTES_MAX

    def _close(self, key: StatementKey) -> bytes:
        self._bytes -= len(key[0])
        return self._known.pop(key).close()


class ClientStatement:
    """A statement as its client knows it.

    `types` are the parameter types the client bound last, `at` is the statement on the backend `at_backend`
    (a plain object: only its identity matters), where the client used it last. `reason` is what an execution
    leaves behind, `asks` whether it asks about the statement before; `plain` says that there is neither.
    `failure` is why the next execution must fail: a parameter that was sent ahead got lost. `runs` and
    `failures` are counted until `watch.py` takes them, which also keeps its `shape` here.
    """

    __slots__ = (
        "asks",
        "at",
        "at_backend",
        "failure",
        "failures",
        "key",
        "kind",
        "parameters",
        "plain",
        "quoting",
        "reason",
        "runs",
        "shape",
        "types",
    )

    def __init__(self, kind: Kind, key: StatementKey, parameters: int, *, mariadb: bool) -> None:
        self.kind = kind
        self.key = key
        self.parameters = parameters
        self.types = b""
        self.at: BackendStatement | None = None
        self.at_backend: object = None
        self.failure: ProxyError | None = None
        self.reason = leaves_behind(kind, key[0], mariadb=mariadb)
        self.asks = asks_about_last(key[0])
        self.plain = self.reason is None and not self.asks and not soils(kind)
        self.runs = 0
        self.failures = 0
        self.quoting: Quoting | None = None
        self.shape: str | None = None

    @property
    def text(self) -> bytes:
        """The statement's text."""
        return self.key[0]


def renumbered(data: bytes, at: BackendStatement) -> bytes:
    """Return a command about a statement with the backend's number for it."""
    return data[:_ID_AT] + at.number + data[_ID_END:]


def patched(data: bytes, statement: ClientStatement, at: BackendStatement, tail: PacketTail | None) -> bytes:
    """Return an EXECUTE for the statement as a backend knows it. Raises RemoteError when it is malformed.

    The types that the client bound come along when the backend has bound others, or none, since.
    """
    if statement.parameters:
        types = types_in(data, statement.parameters)
        if types is not None:
            statement.types = at.types = types
        elif at.types != statement.types and statement.types:
            at.types = statement.types
            execute = parse_execute(data, statement.parameters)
            if tail is None:
                data = with_types(data, execute, statement.types)
            else:
                inserted = insert_types(data, execute, statement.types)
                if inserted is None:
                    text = "this execution is too long to do without the types of its parameters"
                    raise NotPassedOn(text, errno=1105, sqlstate="HY000")
                header, flag_and_types = inserted
                head = header + data[HEADER_BYTES : execute.bound_at]
                data = head + flag_and_types + data[execute.bound_at + 1 :]
    return data[:_ID_AT] + at.number + data[_ID_END:]
