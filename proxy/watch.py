"""I watch which statements run on a branch: what they look like without their values, how often, and by whom.

A statement pays for a slice, a look into a dict and an addition. Statements that begin alike and are about
equally long are a crowd, and counted together. Of each crowd the first of a second is looked at, and then
ever fewer, so that what is rare is seen beside what is not; looking itself is done between statements, ten
times a second, and at no more of them than `Looks` allows. A prepared statement is looked at in every case,
and its runs are counted one by one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from proxy.channel import DefinitionChanged, ShapeSeen
from proxy.fingerprint import TEXT_BYTES_MAX, definition_of, shape_of
from proxy.wire.framing import HEADER_BYTES
from router.classify import Kind
from router.split import PLAIN_CHARSETS
from router.tokens import Quoting

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.prepared import ClientStatement

CROWDS_MAX: Final = 2048
"""Crowds that are told apart, per branch; statements of others are not counted here."""
SHAPES_MAX: Final = 1000
"""Shapes kept until control takes them, per branch."""
PREPARED_MAX: Final = 1000
"""Prepared statements that wait to be looked at, per branch."""
PER_TICK: Final = 20
"""Statements that one branch looks at in one go."""

TAKE_S: Final = 0.02
"""How long prepared statements are looked at once a second, for all clients wait; other runs are lost."""

_TEXT: Final = HEADER_BYTES + 1
_BEGINNING_END: Final = _TEXT + 24
_LENGTHS: Final = 32
_NEXT_LOOK: Final = 4
"""After the first of a second the fourth is looked at, then the sixteenth…"""
_IDLE_MAX: Final = 30
_LOOKED_MAX: Final = 8
_KNOWN_MAX: Final = 2048
_KNOWN_BYTES_MAX: Final = 1024

Found = tuple[str, str, str | None, bool]
"""What a look has found: user, kind and shape of a statement, and whether it failed."""


class Looks:
    """How many statements may still be looked at, over all branches; what is left is saved up."""

    __slots__ = ("left",)

    def __init__(self, per_s: int) -> None:
        self.left = per_s

    def renew(self, per_s: int, ticks: int) -> None:
        """Allow one of so many `ticks` in a second its part of those of a second."""
        self.left = min(per_s, self.left - (-per_s // ticks))


class Crowd:
    """Statements that begin alike: how many there were since they were last taken, and what some are."""

    __slots__ = ("count", "errors", "found", "idle", "looked", "next_look")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.next_look = 1
        self.idle = 0
        self.looked: list[Found] = []
        self.found: list[Found] = []

    def take(self) -> list[tuple[Found, int, int]]:
        """Share what was counted among what was found lately, statements and errors; begin anew.

        While nothing was found, the count is kept.
        """
        if self.looked:
            self.found = self.looked
            self.looked = []
        self.idle = 0 if self.count else self.idle + 1
        found = self.found
        self.next_look = 1
        if not found:
            self.next_look += self.count
            return []
        count, errors = self.count, self.errors
        self.count = self.errors = 0
        failed = [at for at, one in enumerate(found) if one[3]] or [*range(len(found))]
        shared: list[tuple[Found, int, int]] = []
        for at, one in enumerate(found):
            its_errors = _part(errors, len(failed), failed.index(at)) if at in failed else 0
            shared.append((one, _part(count, len(found), at), its_errors))
        return shared if count else []


class Watch:
    """What runs on one branch, as this worker sees it.

    `ran` are the prepared statements of pooled clients that have run, each with its user: they count their
    runs themselves.
    """

    __slots__ = (
        "_branch",
        "_crowds",
        "_crowds_count",
        "_database",
        "_known",
        "_looks",
        "_pending",
        "_prepared",
        "_totals",
        "ran",
    )

    def __init__(self, database: str, branch: str, looks: Looks) -> None:
        self._database = database
        self._branch = branch
        self._looks = looks
        self._crowds: list[dict[bytes, Crowd]] = [{} for _ in range(_LENGTHS)]
        self._crowds_count = 0
        self._known: OrderedDict[tuple[bytes, Quoting | None], str | None] = OrderedDict()
        self._pending: list[tuple[Crowd, str, str, bytes, Quoting | None, bool]] = []
        self._prepared: dict[bytes, tuple[str, str, Quoting | None]] = {}
        self._totals: dict[tuple[str, str, str], list[int]] = {}
        self.ran: list[tuple[ClientStatement, str]] = []

    # -- while statements run -------------------------------------------------------------------------------

    def saw(self, client: Client, data: bytes, kind: Kind, failed: bool) -> None:
        """Count a statement that is over; `data` is the packet it came in, or the beginning of it."""
        crowds = self._crowds[(len(data) >> 5) % _LENGTHS]
        crowd = crowds.get(data[_TEXT:_BEGINNING_END])
        if crowd is None:
            if self._crowds_count >= CROWDS_MAX:
                return
            crowd = crowds[data[_TEXT:_BEGINNING_END]] = Crowd()
            self._crowds_count += 1
        crowd.count += 1
        if failed:
            crowd.errors += 1
        if failed or crowd.count >= crowd.next_look:
            self._look(crowd, client, data, kind, failed)

    def _look(self, crowd: Crowd, client: Client, data: bytes, kind: Kind, failed: bool) -> None:
        """Keep a statement until there is time to look at it."""
        if not self._looks.left:
            return
        self._looks.left -= 1
        if crowd.count >= crowd.next_look:
            crowd.next_look = crowd.count * _NEXT_LOOK
        text = data[_TEXT : _TEXT + TEXT_BYTES_MAX + 1]
        quoting = _quoting(client, text)
        self._pending.append((crowd, client.user.name, str(kind), text, quoting, failed))

    def prepared(self, client: Client, text: bytes) -> Quoting | None:
        """Remember to look at a statement that was prepared; return what quotes mean in it, if known."""
        text = text[: TEXT_BYTES_MAX + 1]
        quoting = _quoting(client, text)
        if len(self._prepared) < PREPARED_MAX and text not in self._prepared:
            self._prepared[text] = (client.user.name, str(client.kind), quoting)
        return quoting

    def defined(self, client: Client, text: bytes) -> None:
        """Tell at once of a statement that has changed definitions, or may have."""
        shape = definition_of(text, _quoting(client, text)) or ""
        client.doors.report(
            DefinitionChanged(self._database, self._branch, client.user.name, shape, time.time())
        )

    # -- between statements ---------------------------------------------------------------------------------

    def work(self) -> None:
        """Look at what waits for it."""
        pending, self._pending = self._pending[:PER_TICK], self._pending[PER_TICK:]
        for crowd, user, kind, text, quoting, failed in pending:
            crowd.looked = [
                *crowd.looked[1 - _LOOKED_MAX :],
                (user, kind, self._shape(text, quoting), failed),
            ]
        for text in [*self._prepared][:PER_TICK]:
            user, kind, quoting = self._prepared.pop(text)
            self._add((user, kind, self._shape(text, quoting), False), 0, 0)

    def take_shapes(self) -> list[ShapeSeen]:
        """Return what was counted since the last time, once a second."""
        ran, self.ran = self.ran, []
        until_s = time.perf_counter() + TAKE_S
        for statement, user in ran:
            if statement.shape is None:
                if time.perf_counter() > until_s:
                    statement.runs = statement.failures = 0
                    continue
                statement.shape = self._shape(statement.text[: TEXT_BYTES_MAX + 1], statement.quoting) or ""
            self._add((user, str(statement.kind), statement.shape, False), statement.runs, statement.failures)
            statement.runs = statement.failures = 0
        # Where beginnings hold values there are endlessly many: those of others need room.
        idle_max = _IDLE_MAX if self._crowds_count < CROWDS_MAX // 2 else 0
        for crowds in self._crowds:
            for key in [*crowds]:
                crowd = crowds[key]
                for found, count, errors in crowd.take():
                    self._add(found, count, errors)
                if crowd.idle > idle_max:
                    del crowds[key]
                    self._crowds_count -= 1
        totals, self._totals = self._totals, {}
        return [
            ShapeSeen(self._database, self._branch, user, kind, text, numbers[0], numbers[1])
            for (user, kind, text), numbers in totals.items()
        ]

    def _add(self, found: Found, count: int, errors: int) -> None:
        user, kind, text, _ = found
        if not text:
            return
        numbers = self._totals.get((user, kind, text))
        if numbers is not None:
            numbers[0] += count
            numbers[1] += errors
        elif len(self._totals) < SHAPES_MAX:
            self._totals[user, kind, text] = [count, errors]

    def _shape(self, text: bytes, quoting: Quoting | None) -> str | None:
        """Return a statement's shape; those of short ones are remembered, for many come again."""
        if len(text) > _KNOWN_BYTES_MAX:
            return shape_of(text, quoting)
        key = (text, quoting)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        shape = self._known[key] = shape_of(text, quoting)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
        return shape


def _part(total: int, parts: int, at: int) -> int:
    """Return one of several parts that are as equal as whole numbers can be."""
    return total // parts + (1 if at < total % parts else 0)


def _quoting(client: Client, text: bytes) -> Quoting | None:
    """Return what quotes mean in a client's statement; None when that is not known for sure."""
    ansi_quotes, charset = client.quoting
    if not text.isascii() and charset not in PLAIN_CHARSETS:
        return None
    if ansi_quotes is None:
        if b'"' in text:
            return None
        ansi_quotes = False
    return Quoting(client.no_backslash, ansi_quotes)
