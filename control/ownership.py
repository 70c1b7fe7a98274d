"""I say whom the views, triggers, routines and events of a branch belong to, and hand them over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import structlog

from migrator.engine.ground.failpoints import reach
from migrator.schema.clone import MISSING, create_code, load_code
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.program_text import trigger_before, trigger_moment, view_of, with_definer, with_status
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

Note = Callable[[Schema | None], Awaitable[None]]
"""Remembers, before it happens, which programs may be missing from now on; None: none."""

_PACKAGES: Final = frozenset({CodeKind.PACKAGE, CodeKind.PACKAGE_BODY})


def owned(code: Code, definer: str) -> Code:
    """Return a program that belongs to a definer, which is quoted; '' leaves it to who makes it."""
    if code.kind is CodeKind.VIEW:
        return replace(code, text=view_of(code.text, definer))
    return replace(code, text=with_definer(code.text, definer))


async def hand_over(server: Server, schema: str, former: str, definer: str, note: Note) -> None:
    """Give what belongs to one account to another; both are quoted.

    A trigger keeps its place, an event goes on running or not. What the server refuses for its new owner is
    as it was. Whatever may be missing for a moment is noted before: `put_back` makes it again. Raises
    DatabaseError and SchemaError.
    """
    async with await open_reader(server, database=schema) as link:
        found = await read_schema(link, schema)
        for programs in _together(found.code):
            if all(code.definer != former for code in programs):
                continue
            placed = [_in_place(code, found.code) for code in programs]
            await note(replace(found, tables={}, opaque={}, code=tuple(placed)))
            for code in placed:
                await _make_anew(link, code, definer if code.definer == former else code.definer)
        await note(None)


async def put_back(server: Server, schema: str, programs: Schema, note: Note) -> None:
    """Make those of noted programs that are missing, as they were; raises DatabaseError and SchemaError.

    A view that does not work any more is left out. Only those that are missing are noted from then on: the
    others are there, and whoever drops one of them later means it.
    """
    async with await open_reader(server, database=schema) as link:
        there = {(code.kind, code.name) for code in (await read_schema(link, schema)).code}
        missing = [code for code in programs.code if (code.kind, code.name) not in there]
        await note(replace(programs, code=tuple(missing)))
        left_out = await load_code(link, [_as_wanted(code, code.definer) for code in missing])
        for code in missing:
            if code.name not in left_out:
                log.info("program.put_back", kind=str(code.kind), name=code.name)


def _together(code: Sequence[Code]) -> Iterator[list[Code]]:
    """Return the programs one by one, but a package with its body, which goes when the package does."""
    packages = {each.name: each for each in code if each.kind is CodeKind.PACKAGE}
    for each in code:
        if each.kind is CodeKind.PACKAGE_BODY and each.name in packages:
            continue
        bodies = [body for body in code if body.kind is CodeKind.PACKAGE_BODY and body.name == each.name]
        yield [each, *(bodies if each.kind is CodeKind.PACKAGE else ())]


def _in_place(code: Code, among: Sequence[Code]) -> Code:
    """Return a trigger as it is made right before the one that fires after it; all else as it is."""
    if code.kind is not CodeKind.TRIGGER:
        return code
    line = [each for each in among if each.kind is CodeKind.TRIGGER and each.table == code.table]
    behind = line[line.index(code) + 1 :]
    moment = trigger_moment(code.text)
    following = next((each.name for each in behind if trigger_moment(each.text) == moment), None)
    if following is None:
        return code
    return _rewritten(code, lambda text: trigger_before(text, following))


async def _make_anew(link: Connection, code: Code, definer: str) -> None:
    """Replace a program by one that belongs to a definer; MySQL must drop all but views before."""
    at_once = code.kind is CodeKind.VIEW or link.server.flavor is Flavor.MARIADB
    if not at_once:
        await link.execute(f"DROP {code.kind} {quote_name(code.name)}")
        reach("handed-over")
    try:
        await _make(link, code, definer, instead=at_once)
    except ConnectionLost:
        raise
    except DatabaseError as error:
        if code.kind is CodeKind.VIEW and error.errno in MISSING:
            log.warning("view.not_handed_over", name=code.name, reason=str(error))
            return  # it does not work, whoever it belongs to
        if not at_once or code.kind in _PACKAGES:
            await _make(link, code, code.definer, instead=at_once)
        raise SchemaError(
            f"the server does not take {code.kind.lower()} {code.name!r} for {definer}: {error}"
        ) from error


async def _make(link: Connection, code: Code, definer: str, *, instead: bool = False) -> None:
    program = _as_wanted(code, definer)
    if instead:
        program = replace(program, text=program.text.replace("CREATE ", "CREATE OR REPLACE ", 1))
    await create_code(link, program)


def _as_wanted(code: Code, definer: str) -> Code:
    program = owned(code, definer)
    if code.kind is CodeKind.EVENT and code.enabled:
        # Not by ALTER EVENT, which would lend it another definer.
        program = _rewritten(program, lambda text: with_status(text, "ENABLE"))
    return program


def _rewritten(code: Code, rewrite: Callable[[bytes], bytes]) -> Code:
    text = rewrite(code.text.encode("utf-8", "surrogateescape"))
    return replace(code, text=text.decode("utf-8", "surrogateescape"))
