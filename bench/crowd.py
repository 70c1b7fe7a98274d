"""I am the crowd of a soak: clients of every kind, each of which knows what it must be given and checks it.

Every client has a token of its own, which is in all that it asks and writes: an answer, a row or a variable
that is somebody else's is noticed. Each comes again when it was cut off, until it is told to stop.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from bench.client import Client, Gone, Row, ServerError
from bench.journal import Journal, MixedUp

PATIENCE_S: Final = 40.0
"""Longer than any limit of the proxy's: what takes longer hangs."""
COME_AGAIN_S: Final = 0.1
BIG_ROWS: Final = 20_000
UPLOAD_BYTES: Final = (3_000, 300_000, 5_000_000, 17_000_000)
IDLE_S: Final = 4.0

NUMBERS: Final = " UNION ALL SELECT ".join(map(str, range(1, 10)))
SETUP: Final = (
    "CREATE TABLE soak (id BIGINT AUTO_INCREMENT PRIMARY KEY, token VARCHAR(64) NOT NULL, n INT NOT NULL, "
    "total INT NOT NULL DEFAULT 0, KEY (token, n))",
    f"CREATE TABLE digits (d INT PRIMARY KEY) AS SELECT * FROM (SELECT 0 AS d UNION ALL SELECT {NUMBERS}) n",
)
FILL: Final = (
    "CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, "
    "pad CHAR(60) NOT NULL, KEY (k))",
    "INSERT INTO {name} (k, c, pad) SELECT RAND() * 10000, LEFT(REPEAT(SHA2(RAND(), 256), 2), 120), "
    "LEFT(SHA2(RAND(), 256), 60) FROM digits a, digits b, digits c, digits d LIMIT {rows}",
)
"""Tables like sysbench's, made without it."""

_tokens = itertools.count(1)


@dataclass
class Member:
    """One client's place in the crowd; `sql` and `count` go through here to be counted and timed."""

    kind: str
    port: int
    rows: int
    journal: Journal
    token: str = ""
    client: Client | None = None
    last_success: float = field(default_factory=time.monotonic)
    number: int = 0
    fresh: bool = True

    def __post_init__(self) -> None:
        self.token = f"{self.kind}-{next(_tokens)}"

    async def ask(self, sql: str) -> list[Row]:
        """Run a statement on this member's connection."""
        assert self.client is not None
        rows = await self.client.query(sql)
        self.succeeded()
        return rows

    def succeeded(self) -> None:
        """Count an answer."""
        self.journal.queries += 1
        self.last_success = time.monotonic()

    def tag(self) -> str:
        """Return a text that nobody else asks for, and this member only once."""
        self.number += 1
        return f"{self.token}/{self.number}"

    def some_row(self) -> int:
        """Return the id of a row of sysbench's table."""
        return random.randrange(1, self.rows + 1)


Act = Callable[[Member], Awaitable[None]]


async def attend(member: Member, act: Act, stop: asyncio.Event) -> None:
    """Do one thing again and again; connect anew after an error; leave politely at the end."""
    while not stop.is_set():
        try:
            async with asyncio.timeout(PATIENCE_S):
                if member.client is None and act not in UNCONNECTED:
                    member.client = await Client.connect(member.port)
                    member.fresh = True
                    member.succeeded()
                await act(member)
            member.journal.work[member.kind] += 1
        except (ServerError, Gone, MixedUp, TimeoutError) as error:
            member.journal.failed(member.token, error, member.last_success)
            if member.client is not None:
                member.client.abort()
                member.client = None
            member.last_success = time.monotonic()
            await asyncio.sleep(COME_AGAIN_S)
    if member.client is not None:
        await member.client.quit()


def check(found: object, wanted: object) -> None:
    """Raise MixedUp when an answer is not what it must be."""
    if found != wanted:
        raise MixedUp(f"got {str(found)[:200]!r} in place of {str(wanted)[:200]!r}")


async def read_text(member: Member) -> None:
    """Point selects, as text."""
    for _ in range(20):
        tag, row = member.tag(), member.some_row()
        check(await member.ask(f"SELECT '{tag}', id FROM sbtest1 WHERE id = {row}"), [(tag, str(row))])


async def read_prepared(member: Member) -> None:
    """Point selects, prepared once and executed often."""
    assert member.client is not None
    statement = await member.client.prepare("SELECT CONCAT(?, '') , c FROM sbtest1 WHERE id = ?")
    for _ in range(50):
        tag = member.tag()
        rows = await member.client.execute(statement, tag, str(member.some_row()))
        member.succeeded()
        check([row[0] for row in rows], [tag])
    # The statement stays open: the server's and the proxy's bookkeeping of such must hold.
    if member.number % 500 == 0:
        await member.client.quit()
        member.client = None


async def read_write(member: Member) -> None:
    """A transaction like sysbench's oltp_read_write, and rows of one's own in it."""
    member.number += 1
    n, token = member.number, member.token
    await member.ask("BEGIN")
    for _ in range(5):
        row = member.some_row()
        check(await member.ask(f"SELECT id FROM sbtest1 WHERE id = {row}"), [(str(row),)])
    first = member.some_row()
    summed = await member.ask(
        f"SELECT SUM(k), '{token}' FROM sbtest1 WHERE id BETWEEN {first} AND {first + 99}"
    )
    check([row[1] for row in summed], [token])
    await member.ask(f"INSERT INTO soak (token, n) VALUES ('{token}', {n})")
    check(await member.ask("SELECT token, n FROM soak WHERE id = LAST_INSERT_ID()"), [(token, str(n))])
    await member.ask(f"UPDATE soak SET total = total + {n} WHERE token = '{token}' AND n = {n}")
    await member.ask(f"UPDATE sbtest2 SET k = k + 1 WHERE id = {member.some_row()}")
    if n % 10 == 0:
        await member.ask("ROLLBACK")
        check(await member.ask(f"SELECT COUNT(*) FROM soak WHERE token = '{token}' AND n = {n}"), [("0",)])
        return
    await member.ask("COMMIT")
    check(
        await member.ask(f"SELECT token, total FROM soak WHERE token = '{token}' AND n = {n}"),
        [(token, str(n))],
    )
    await member.ask(f"DELETE FROM soak WHERE token = '{token}' AND n = {n}")


async def keep_state(member: Member) -> None:
    """Session variables that must come along wherever the client is served, and leave with it."""
    own = 2000 + int(member.token.rpartition("-")[2])
    check(await member.ask("SELECT @@session.group_concat_max_len"), [("1024",)])
    await member.ask(f"SET SESSION group_concat_max_len = {own}")
    for _ in range(10):
        check(
            await member.ask(f"SELECT '{member.token}', @@session.group_concat_max_len"),
            [(member.token, str(own))],
        )
        await asyncio.sleep(random.random() * 0.05)
    assert member.client is not None
    await member.client.quit()
    member.client = None


async def keep_pins(member: Member) -> None:
    """User variables and temporary tables: what binds a client to its backend."""
    await member.ask(f"SET @mine = '{member.token}'")
    await member.ask("CREATE TEMPORARY TABLE mine (token VARCHAR(64))")
    await member.ask("INSERT INTO mine VALUES (@mine)")
    for _ in range(5):
        check(await member.ask("SELECT @mine, token FROM mine"), [(member.token, member.token)])
        await asyncio.sleep(random.random() * 0.05)
    await member.ask("DROP TEMPORARY TABLE mine")
    assert member.client is not None
    await member.client.quit()
    member.client = None


async def read_big(member: Member) -> None:
    """Results of many rows, each of them checked."""
    tag = member.tag()
    rows = await member.ask(f"SELECT '{tag}', id, c, pad FROM sbtest1 LIMIT {BIG_ROWS}")
    check({row[0] for row in rows}, {tag})
    check(len(rows), min(BIG_ROWS, member.rows))
    await asyncio.sleep(0.5)


async def upload(member: Member) -> None:
    """Long statements, some of more than one packet."""
    size = random.choices(UPLOAD_BYTES, weights=(10, 6, 3, 1))[0]
    text = (member.tag() + "x" * size)[:size]
    digest = hashlib.sha256(text.encode()).hexdigest()
    check(await member.ask(f"SELECT SHA2('{text}', 256), {size}"), [(digest, str(size))])
    await asyncio.sleep(0.5)


async def be_idle(member: Member) -> None:
    """Silence, and now and then a question about what was left behind."""
    own = 4000 + int(member.token.rpartition("-")[2])
    if member.fresh:
        await member.ask(f"SET SESSION group_concat_max_len = {own}")
        member.fresh = False
    await asyncio.sleep(IDLE_S * (0.5 + random.random()))
    check(
        await member.ask(f"SELECT '{member.token}', @@session.group_concat_max_len"),
        [(member.token, str(own))],
    )


async def storm(member: Member) -> None:
    """Connect, ask, leave."""
    client = await Client.connect(member.port)
    try:
        tag = member.tag()
        check(await client.query(f"SELECT '{tag}'"), [(tag,)])
        member.succeeded()
    finally:
        await client.quit()


async def vanish(member: Member) -> None:
    """Go without a word, in the middle of whatever it is."""
    client = await Client.connect(member.port)
    member.succeeded()
    how = random.randrange(5)
    if how == 0:
        client.start("SELECT SLEEP(0.3)")
    elif how == 1:
        client.start("SELECT * FROM sbtest1")
    elif how == 2:
        await client.query("BEGIN")
        client.start(f"INSERT INTO soak (token, n) VALUES ('{member.token}', 0)")
    elif how == 3:
        await client.query(f"SET @mine = '{member.token}'")
    await asyncio.sleep(random.random() * 0.05)
    client.abort()
    member.journal.client_killed()
    await asyncio.sleep(random.random() * 0.3)


UNCONNECTED: Final = (storm, vanish)

CROWD: Final[tuple[tuple[str, Act, int], ...]] = (
    ("text", read_text, 6),
    ("prepared", read_prepared, 6),
    ("write", read_write, 8),
    ("state", keep_state, 8),
    ("pin", keep_pins, 3),
    ("big", read_big, 1),
    ("upload", upload, 1),
    ("idle", be_idle, 200),
    ("storm", storm, 3),
    ("vanish", vanish, 3),
)
"""Who is there: kind, what it does, how many."""
