"""I am the transactions a server has in its log, by the names that are the same on all servers: GTIDs.

MySQL names a transaction by the server it began on, an optional tag and a number; a place in the log is the
set of all before it. MariaDB counts in each domain; a place is the last transaction of every domain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from migrator.engine.log.place import Position
from migrator.errors import StreamBroken
from router.model import Flavor

GTID, GTID_TAGGED, MARIADB_GTID = 33, 42, 162
STEPS_MAX = 2000

# One transaction: (server, or server and tag; number) of MySQL, (domain; server; number) of MariaDB.
Gtid: TypeAlias = tuple[str, int] | tuple[int, int, int]


REWRITTEN = "the server's history was rewritten, by a restored backup for example: start the deployment again"


class MysqlGtids:
    """A GTID set of MySQL."""

    def __init__(self, text: str = "") -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}
        for part in text.replace("\n", "").replace(" ", "").lower().split(","):
            server, *rest = part.split(":")
            name = server
            for word in rest:
                if word[:1].isdigit():
                    first, _, last = word.partition("-")
                    self._ranges.setdefault(name, []).append((int(first), int(last or first)))
                else:
                    name = f"{server}:{word}"
        for ranges in self._ranges.values():
            ranges.sort()

    def __str__(self) -> str:
        return ",".join(
            ":".join([name, *(f"{low}-{high}" if high > low else str(low) for low, high in ranges)])
            for name, ranges in sorted(self._ranges.items())
        )

    def add(self, gtid: Gtid) -> None:
        """Put a transaction in; raises StreamBroken when the log has told of it before."""
        name, number = str(gtid[0]), gtid[1]
        ranges = self._ranges.setdefault(name, [])
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
            return
        at = bisect_right(ranges, (number, number))
        if (at and ranges[at - 1][1] >= number) or (at < len(ranges) and ranges[at][0] == number):
            raise StreamBroken(
                f"the binary log tells of transaction {name}:{number} for the second time",
                hint=REWRITTEN,
            )
        low = high = number
        if at < len(ranges) and ranges[at][0] == number + 1:
            high = ranges.pop(at)[1]
        if at and ranges[at - 1][1] == number - 1:
            at -= 1
            low = ranges.pop(at)[0]
        ranges.insert(at, (low, high))

    def copy(self) -> MysqlGtids:
        """Return an equal set that grows on its own."""
        other = MysqlGtids()
        other._ranges = {name: list(ranges) for name, ranges in self._ranges.items()}
        return other

    def join(self, other: MysqlGtids) -> None:
        """Put all of the other's transactions in."""
        for name, ranges in other._ranges.items():
            merged: list[tuple[int, int]] = []
            for low, high in sorted([*self._ranges.get(name, ()), *ranges]):
                if merged and low <= merged[-1][1] + 1:
                    merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
                else:
                    merged.append((low, high))
            self._ranges[name] = merged

    def covers(self, other: MysqlGtids) -> bool:
        """Whether all of the other's transactions are here, too."""
        return all(
            any(mine[0] <= low and high <= mine[1] for mine in self._ranges.get(name, ()))
            for name, ranges in other._ranges.items()
            for low, high in ranges
        )

    def has(self, gtid: Gtid) -> bool:
        """Whether a transaction is in it."""
        return any(low <= gtid[1] <= high for low, high in self._ranges.get(str(gtid[0]), ()))

    def encoded(self) -> bytes:
        """Return the set as COM_BINLOG_DUMP_GTID wants it; tags only where there are any."""
        tagged = any(":" in name for name in self._ranges)
        # The format's number is in the first byte and, before tags were known, in none.
        count = len(self._ranges)
        parts = [(1 | count << 8 | 1 << 56 if tagged else count).to_bytes(8, "little")]
        for name, ranges in sorted(self._ranges.items()):
            server, _, tag = name.partition(":")
            parts.append(bytes.fromhex(server.replace("-", "")))
            if tagged:
                parts.append(bytes((len(tag) << 1,)) + tag.encode())
            parts.append(len(ranges).to_bytes(8, "little"))
            parts += (low.to_bytes(8, "little") + (high + 1).to_bytes(8, "little") for low, high in ranges)
        return b"".join(parts)


class MariadbGtids:
    """A GTID position of MariaDB: the last transaction in each domain."""

    def __init__(self, text: str = "") -> None:
        self._last: dict[int, tuple[int, int]] = {}
        for part in filter(None, text.replace(" ", "").split(",")):
            domain, server, number = map(int, part.split("-"))
            self._last[domain] = (server, number)

    def __str__(self) -> str:
        return ",".join(f"{domain}-{server}-{n}" for domain, (server, n) in sorted(self._last.items()))

    def add(self, gtid: Gtid) -> None:
        """Put a transaction in; raises StreamBroken when the log has told of it before."""
        domain, server, number = (int(part) for part in gtid)
        if self._last.get(domain) == (server, number):
            raise StreamBroken(
                f"the binary log tells of transaction {domain}-{server}-{number} for the second time",
                hint=REWRITTEN,
            )
        self._last[domain] = (server, number)

    def copy(self) -> MariadbGtids:
        """Return an equal position that moves on its own."""
        other = MariadbGtids()
        other._last = dict(self._last)
        return other

    def join(self, other: MariadbGtids) -> None:
        """Move on to the other, which is further."""
        self._last |= other._last

    def covers(self, other: MariadbGtids) -> bool:
        """Whether every domain is as far here; numbers grow in a domain, whoever writes."""
        return all(
            domain in self._last and self._last[domain][1] >= number
            for domain, (_, number) in other._last.items()
        )

    def has(self, gtid: Gtid) -> bool:
        """Whether a transaction came before it."""
        domain, _, number = (int(part) for part in gtid)
        return domain in self._last and self._last[domain][1] >= number


Gtids: TypeAlias = MysqlGtids | MariadbGtids


def gtids_of(flavor: Flavor, text: str = "") -> Gtids:
    """Read what a server, or `str`, wrote."""
    return MysqlGtids(text) if flavor is Flavor.MYSQL else MariadbGtids(text)


class Trail:
    """Which transactions came before which place: exactly at the places noted, and too few in between.

    Too few is safe: what is missing will be sent once more.
    """

    def __init__(self, base: Gtids) -> None:
        self.newest = base.copy()
        self._base = base.copy()
        self._steps: deque[tuple[Position, Gtids]] = deque()

    def note(self, place: Position, gtids: Iterable[Gtid]) -> None:
        """These transactions came before `place`, and after the place noted before."""
        step = _empty_like(self._base)
        for gtid in gtids:
            self.newest.add(gtid)
            step.add(gtid)
        if len(self._steps) >= STEPS_MAX:
            self._thin_out()
        self._steps.append((place, step))

    def at(self, place: Position) -> Gtids:
        """Return the transactions before `place`."""
        gtids = self._base.copy()
        for noted, step in self._steps:
            if noted > place:
                break
            _join(gtids, step)
        return gtids

    def forget(self, place: Position) -> None:
        """Nobody will ask for a place before this one any more."""
        while self._steps and self._steps[0][0] <= place:
            _join(self._base, self._steps.popleft()[1])

    def go_back(self, place: Position) -> None:
        """What came after this place will be told once more."""
        while self._steps and self._steps[-1][0] > place:
            self._steps.pop()
        self.newest = self.at(place)

    def _thin_out(self) -> None:
        steps = list(self._steps)
        for (_, first), (_, second) in zip(steps[::2], steps[1::2], strict=False):
            _join(first, second)
        places = [place for place, _ in steps]
        self._steps = deque(
            (places[min(n + 1, len(steps) - 1)], steps[n][1]) for n in range(0, len(steps), 2)
        )


def _empty_like(gtids: Gtids) -> Gtids:
    return MysqlGtids() if isinstance(gtids, MysqlGtids) else MariadbGtids()


def _join(gtids: Gtids, more: Gtids) -> None:
    if isinstance(gtids, MysqlGtids):
        assert isinstance(more, MysqlGtids)
        gtids.join(more)
    else:
        assert isinstance(more, MariadbGtids)
        gtids.join(more)


def covers(all_of: Gtids, some: Gtids) -> bool:
    """Whether the first has everything that the second has."""
    if isinstance(all_of, MysqlGtids):
        return isinstance(some, MysqlGtids) and all_of.covers(some)
    return isinstance(some, MariadbGtids) and all_of.covers(some)


def parse_gtid(type_: int, server_id: int, body: bytes) -> Gtid | None:
    """Read a GTID event; None for one that says a transaction has none."""
    if type_ == GTID:
        return _uuid(body[1:17]), int.from_bytes(body[17:25], "little")
    if type_ == MARIADB_GTID:
        return int.from_bytes(body[8:12], "little"), server_id, int.from_bytes(body[:8], "little")
    if type_ == GTID_TAGGED:
        return _parse_tagged(body)
    return None


def _parse_tagged(body: bytes) -> Gtid:
    """Read the fields of MySQL's own serialization: number of the field, value; integers in 1 to 9 bytes."""
    at = 0
    for _ in range(3):  # version, size, last field that must be understood
        _, at = _varint(body, at)
    server, number, tag = b"", 0, ""
    while at < len(body):
        field, at = _varint(body, at)
        if field == 1:
            parts = []
            for _ in range(16):
                part, at = _varint(body, at)
                parts.append(part)
            server = bytes(parts)
        elif field == 3:
            size, at = _varint(body, at)
            tag, at = body[at : at + size].decode("ascii"), at + size
            break
        else:
            value, at = _varint(body, at)
            if field == 2:
                number = value >> 1  # the lowest bit is the sign
    if len(server) != 16 or not number:
        raise StreamBroken("a tagged GTID in the binary log is not understood")
    return f"{_uuid(server)}:{tag}" if tag else _uuid(server), number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    more = (~first & (first + 1)).bit_length() - 1  # one more byte for each 1 at the low end
    value = int.from_bytes(data[at : at + 1 + more], "little") >> (more + 1 if more < 8 else 8)
    return value, at + 1 + more


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
