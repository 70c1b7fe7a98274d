"""I am a backend that changes hands: what tells it from others, what it remembers, and how it is opened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, Protocol

from conf.settings import ProxySettings
from proxy.backend import Backend, open_backend
from proxy.errors import BackendUnreachable, ProxyError
from proxy.preparation import converse
from proxy.prepared import BackendStatements
from proxy.session import LEARN, BackendState, Canonical, Session
from proxy.stream import as_protocol
from proxy.wire.commands import command
from proxy.wire.constants import CHARSET_UTF8MB4, Capability, Command
from proxy.wire.framing import frame
from proxy.wire.handshake import ClientHandshake
from proxy.wire.packets import text_row
from router.model import Branch, Server

if TYPE_CHECKING:
    from proxy.borrower import Borrower
    from proxy.stock import Stock

_RESET: Final = command(Command.RESET_CONNECTION)

CLASS_OF: Final = (
    Capability.FOUND_ROWS
    | Capability.IGNORE_SPACE
    | Capability.INTERACTIVE
    | Capability.NO_SCHEMA
    | Capability.LOCAL_FILES
    | Capability.DEPRECATE_EOF
)
"""What a client asks for at login and no statement can change."""
ALWAYS: Final = (
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
    | Capability.PLUGIN_AUTH_LENENC
    | Capability.CONNECT_ATTRS
    | Capability.SESSION_TRACK
)


class Demand(Protocol):
    """Who wants a backend; `gone` once it does not any more.

    Without a `session` any state will do. `tries` counts backends that turned out to be of no use.
    """

    backend_class: BackendClass
    gone: bool
    tries: int

    @property
    def wanted_session(self) -> Session | None:
        """The session whose state the backend must have."""

    def receive(self, backend: PooledBackend) -> None:
        """Take a backend that has this session's state."""

    def turned_away(self, error: ProxyError) -> None:
        """There will be no backend."""


class Visit:
    """A demand for a backend that is given back at once: to know that there is one, or that a schema is."""

    def __init__(self, backend_class: BackendClass, session: Session | None) -> None:
        self.backend_class = backend_class
        self.wanted_session = session
        self.gone = False
        self.tries = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def receive(self, backend: PooledBackend) -> None:
        """Take a backend, and give it back with the state it has been brought into."""
        if self.wanted_session is not None:
            backend.state = self.wanted_session.state
        backend.pool.give_back(backend)
        if not self.over.done():
            self.over.set_result(None)

    def turned_away(self, error: ProxyError) -> None:
        """There is none."""
        if not self.over.done():
            self.over.set_exception(error)


class BackendClass:
    """Backends that can stand in for each other: the same server, account and capabilities.

    `canonical` is known once one has been opened. A `stale` class is one that the branch's settings no longer
    give: its backends are not lent again.
    """

    __slots__ = ("canonical", "capabilities", "idle", "opening", "server", "stale", "waiting")

    def __init__(self, server: Server, capabilities: Capability) -> None:
        self.server = server
        self.capabilities = capabilities
        self.idle: list[PooledBackend] = []
        self.canonical: Canonical | None = None
        self.opening = 0
        self.waiting = 0
        self.stale = False

    def learn(self, canonical: Canonical) -> None:
        """Take what a fresh session has, unless somebody else was faster: there must be only one for all."""
        if self.canonical is None:
            self.canonical = canonical

    def renewal(self) -> list[bytes]:
        """Return the commands after which a backend is as good as new."""
        assert self.canonical is not None
        return [_RESET, *self.canonical.setup]


class PooledBackend(Backend):
    """A backend that changes hands.

    It is in one of these places: idle in its class, linked to its `client`, or talking to the pool itself
    since `talking_ns`, on its way to `demand` or back to the idle ones. While it is not linked, `state` is
    what its session has, `settled` says that the server has told all that it has to tell about that, and
    `dirty` that only a reset makes it anybody's. `former` may still be owed what the server has not told.
    """

    state: BackendState

    __slots__ = (
        "backend_class",
        "client",
        "demand",
        "dirty",
        "expires_ns",
        "former",
        "last_client_id",
        "pool",
        "settled",
        "state",
        "statements",
        "talking_ns",
        "used_ns",
    )

    def __init__(self, handshake: ClientHandshake, *, pool: Stock, backend_class: BackendClass) -> None:
        super().__init__(handshake)
        self.pool = pool
        self.backend_class = backend_class
        self.client: Borrower | None = None
        self.former: Borrower | None = None
        self.demand: Demand | None = None
        self.statements = BackendStatements()
        self.last_client_id = 0
        self.settled = True
        self.dirty = False
        self.used_ns = self.talking_ns = perf_counter_ns()
        self.expires_ns = 0

    def renewed(self) -> None:
        """Be as good as new: reset and set up."""
        canonical = self.backend_class.canonical
        assert canonical is not None
        self.state = canonical.fresh(self.state.schema)
        self.statements.clear()
        self.dirty = False
        self.settled = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool, then tell whoever depends on this connection."""
        self.pool.lost(self)
        super().connection_lost(exc)

    def rest(self) -> None:
        """Belong to nobody: whatever the server says now, it says before it leaves."""
        self._owner = None
        self.data_received = self._unexpected
        self.transport.set_protocol(as_protocol(self))

    def send(self, commands: Iterable[bytes]) -> None:
        """Send commands that have no answer."""
        for payload in commands:
            self.write(frame(payload))

    def _unexpected(self, data: bytes) -> None:
        self.abort()


async def open_pooled(
    pool: Stock, wanted: BackendClass, branch: Branch, limits: ProxySettings
) -> PooledBackend:
    """Open a backend in the state that all fresh ones of its class have. Raises ProxyError."""
    backend = await open_backend(
        wanted.server,
        make=partial(PooledBackend, pool=pool, backend_class=wanted),
        database=branch.schema,
        capabilities=wanted.capabilities,
        charset=CHARSET_UTF8MB4,
        attributes={"_proxy": "headgate", "_branch": branch.name},
        timeout_s=limits.connect_timeout_s,
    )
    try:
        async with asyncio.timeout(limits.connect_timeout_s):
            await _set_up(backend, branch.schema)
    except BaseException as error:
        backend.abort()
        if isinstance(error, TimeoutError):
            raise BackendUnreachable("the server of this branch does not answer") from error
        raise
    lifetime_s = limits.backend_lifetime_s * random.uniform(0.9, 1.1)  # noqa: S311 (spreads work)
    backend.expires_ns = perf_counter_ns() + int(lifetime_s * 1e9)
    return backend


async def _set_up(backend: PooledBackend, schema: str) -> None:
    known = backend.backend_class
    if known.canonical is None:
        told = await converse(backend, [LEARN])
        if told.error:
            # Without its settings every session would be taken for a fresh one.
            raise BackendUnreachable(
                f"the server of this branch does not tell its settings: {told.error.message}"
            )
        known.learn(Canonical(known.server.flavor, _rows(told.packets)))
    assert known.canonical is not None
    told = await converse(backend, known.canonical.setup)
    if told.error:
        raise BackendUnreachable(
            f"the server of this branch refuses what transaction pooling needs: {told.error.message}; "
            "set pool_mode to session, or use a server that tracks session state"
        )
    backend.state = known.canonical.fresh(schema)


def _rows(packets: list[bytes]) -> list[tuple[str, str]]:
    """Read a result of two columns."""
    rows: list[tuple[str, str]] = []
    for packet in packets[1 + packets[0][0] : -1]:
        if packet[:1] == b"\xfe" and len(packet) < 9:
            continue
        name, value = (column or b"" for column in text_row(packet))
        rows.append((name.decode(), value.decode("utf-8", "surrogateescape")))
    return rows
