"""I am the messages that control and workers exchange, and workers among themselves.

They cross Unix sockets, each as four bytes of length (little-endian) and that many of MessagePack. Workers
connect to control, which sends Routes first; a worker sends Hello first. To another worker a worker connects
for one KillOrder, and is sent one KillAnswer.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from conf.settings import ProxySettings
from router.model import Branch, Server, User

MESSAGE_BYTES_MAX = 64 << 20

Table = tuple[str, str]
"""Schema and name of a table."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """What all messages have in common: a type that is named on the wire."""


class Routes(Message, frozen=True):
    """Who may log in, where to and within what limits; replaces what was sent before.

    `version` counts up. Without `limits` those that the worker has stay.
    """

    version: int
    greeting: str
    users: list[User]
    branches: list[Branch]
    limits: ProxySettings | None = None


class GateClose(Message, frozen=True):
    """Hold what would start on these tables of a branch, for `hold_ms` at the longest."""

    id: int
    database: str
    branch: str
    tables: list[Table]
    hold_ms: int
    max_held: int


class GateOpen(Message, frozen=True):
    """Let go what a gate holds."""

    id: int


class WakeAnswer(Message, frozen=True):
    """Where the branch of a WakeRequest is, or why it cannot be woken."""

    request: int
    server: Server | None = None
    error: str | None = None


class Drain(Message, frozen=True):
    """Take no new connections, and end when those there are have finished."""


class KillSessions(Message, frozen=True):
    """Close every client connection of a branch, or only those of `user`."""

    database: str
    branch: str
    user: str | None = None


class Hello(Message, frozen=True):
    """A worker says who it is; `boot` is new each time the process starts."""

    worker: int
    pid: int
    boot: str


class RoutesTaken(Message, frozen=True):
    """From now on logins are routed by this version of the routes, or a later one."""

    version: int


class GateClosed(Message, frozen=True):
    """A gate is shut; `busy` clients of the branch are in a statement or transaction at this moment."""

    id: int
    busy: int


class GateOpened(Message, frozen=True):
    """A gate is open again, by order or by its own timer, and what it did meanwhile."""

    id: int
    held: int
    overflowed: int
    longest_hold_ms: float
    by_timer: bool


class ClassStats(msgspec.Struct, frozen=True):
    """One kind of statement on one branch since the last report; `in_flight` at this moment.

    `buckets` holds pairs of a bucket of `proxy.histogram` and how many durations fell into it.
    """

    queries: int
    errors: int
    in_flight: int
    busy_us: int
    buckets: list[tuple[int, int]]


class PoolStats(msgspec.Struct, frozen=True):
    """The backends of one branch in one worker now, and what happened to them since the last report.

    `idle` ones can be had by anybody, `linked` ones are between two transactions of their client, `active`
    ones are in one, `pinned` ones belong to their client for a reason. `waiting` clients wait for one;
    `wait_buckets` as in ClassStats. `steals` counts backends that changed their client, by what that took.
    """

    active: int = 0
    linked: int = 0
    idle: int = 0
    opening: int = 0
    waiting: int = 0
    longest_wait_ms: float = 0.0
    pinned: dict[str, int] = {}
    steals: dict[str, int] = {}
    opened: int = 0
    closed: int = 0
    wait_buckets: list[tuple[int, int]] = []


class PinnedClient(msgspec.Struct, frozen=True):
    """A client that keeps its backend, and why."""

    connection_id: int
    user: str
    client: str
    reasons: list[str]
    since_s: float


class BranchStats(msgspec.Struct, frozen=True):
    """One branch as a worker sees it; classes that did nothing are left out.

    `pinned` lists the clients that have kept their backends longest, a hundred at most, once a second.
    """

    database: str
    branch: str
    connections: int
    in_transaction: int
    refused: int
    classes: dict[str, ClassStats]
    pool: PoolStats = PoolStats()
    pinned: list[PinnedClient] | None = None


class Count(msgspec.Struct, frozen=True):
    """How often something rare has happened since the last report: a metric's name, labels and increase."""

    name: str
    labels: list[tuple[str, str]]
    increase: float


class Stats(Message, frozen=True):
    """A worker's counters since its last report, ten times a second; `at_s` is time.time().

    `loop_lag_ms` is how late the event loop came to make it.
    """

    at_s: float
    branches: list[BranchStats]
    counts: list[Count] = []
    loop_lag_ms: float = 0.0


class WakeRequest(Message, frozen=True):
    """A client wants a branch that may be asleep."""

    request: int
    database: str
    branch: str


class Refused(Message, frozen=True):
    """A statement was refused on a branch with safe migrations; `digest` has no literals."""

    user: str
    client: str
    database: str
    branch: str
    verb: str
    digest: str


class ShapeSeen(msgspec.Struct, frozen=True):
    """What statements of a shape a user has run on a branch since the last report.

    `text` has neither values nor comments; `kind` is one of `router.classify.Kind`. With a `count` of 0 it
    was only prepared.
    """

    database: str
    branch: str
    user: str
    kind: str
    text: str
    count: int
    errors: int


class Shapes(Message, frozen=True):
    """The shapes of the statements that ran in the second before `at_s` (time.time())."""

    at_s: float
    shapes: list[ShapeSeen]


class DefinitionChanged(Message, frozen=True):
    """A statement has changed definitions on a branch, or may have; `at_s` is time.time().

    `text` has neither values nor comments; it is empty when it could not be read.
    """

    database: str
    branch: str
    user: str
    text: str
    at_s: float


class KillOrder(Message, frozen=True):
    """A client of another worker wants a connection of this one, or its statement, to end.

    `user` is who asks; an `admin` may end others' on the same database, or on `branch` only if that is given.
    """

    connection_id: int
    query_only: bool
    user: str
    database: str
    branch: str | None
    admin: bool


class KillAnswer(Message, frozen=True):
    """What the client that asked is told: an error's number and text, or (0) that it is done."""

    errno: int = 0
    message: str = ""


ToWorker = Routes | GateClose | GateOpen | WakeAnswer | Drain | KillSessions
ToControl = (
    Hello | RoutesTaken | GateClosed | GateOpened | Stats | WakeRequest | Refused | Shapes | DefinitionChanged
)

M = TypeVar("M")

_encoder = msgspec.msgpack.Encoder()


class ChannelError(Exception):
    """What came over the channel is not one of its messages; the connection is of no further use."""


def encode(message: ToWorker | ToControl | KillOrder | KillAnswer) -> bytes:
    """Return a message as it goes over the socket."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "little") + body


class _Bodies:
    """Message bodies out of chunks that end anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        bodies: list[bytes] = []
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "little")
            if length > MESSAGE_BYTES_MAX:
                raise ChannelError(f"a message of {length} bytes was announced")
            if len(self._buffer) < 4 + length:
                break
            bodies.append(bytes(self._buffer[4 : 4 + length]))
            del self._buffer[: 4 + length]
        return bodies


class _Side(Generic[M]):
    """Messages of one direction out of chunks that end anywhere."""

    decoder: ClassVar[msgspec.msgpack.Decoder[Any]]

    def __init__(self) -> None:
        self._bodies = _Bodies()

    def feed(self, data: bytes) -> list[M]:
        """Take a chunk and return the messages that are complete now. Raises ChannelError."""
        try:
            return [self.decoder.decode(body) for body in self._bodies.feed(data)]
        except msgspec.MsgspecError as error:
            raise ChannelError(str(error)) from error


class WorkerSide(_Side[ToWorker]):
    """Decodes what a worker receives from control."""

    decoder = msgspec.msgpack.Decoder(ToWorker)


class ControlSide(_Side[ToControl]):
    """Decodes what control receives from one worker."""

    decoder = msgspec.msgpack.Decoder(ToControl)


class PeerSide(_Side[KillOrder | KillAnswer]):
    """Decodes what a worker receives from another."""

    decoder = msgspec.msgpack.Decoder(KillOrder | KillAnswer)
