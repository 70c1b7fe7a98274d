"""I try statements that were seen on a schema as it is and as it will be: the scratch server prepares them.

Nothing is run, no row is needed, and production is not asked. Only statements that name what changes are
tried, on the tables that they name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.order import Observed, Refused, Tried
from migrator.schema.shapes import SeenShape
from migrator.schema.verify import PREFIX, ProvingGround, part_of, proving_ground, surroundings
from router.model import Server
from router.tokens import NAME, UNSURE, WORD, Quoting, pieces

_VIEW_INVALID: Final = 1356
_GROUND: Final = re.compile(rf"`?{PREFIX}[0-9a-f]+`?\.")


async def replay(
    scratch: Server,
    now: Schema,
    afterwards: Schema,
    shapes: Sequence[SeenShape],
    *,
    touched: Set[str],
    names: Set[str] = frozenset(),
    days: float = 0.0,
) -> Observed:
    """Prepare the shapes that concern `touched` tables and views on both schemas; tell how they fare.

    `names` are what clients call the schema: in front of a table they are left out. Raises ProofFailed when
    the scratch server cannot hold one of the schemas.
    """
    concerned = _with_views(touched, (now, afterwards))
    chosen = [shape for shape in shapes if concerned & _folded(shape.use.tables)]
    if not chosen:
        return Observed(days)
    texts = [(_unqualified(shape.text, _folded(names)), _folded(shape.use.tables)) for shape in chosen]
    used = frozenset[str]().union(*(_folded(shape.use.tables) for shape in chosen))
    fared = [await _prepare(scratch, schema, used, (now, afterwards), texts) for schema in (now, afterwards)]
    tried = tuple(
        Tried(shape, before, after)
        for shape, before, after in zip(chosen, *fared, strict=True)
        if before is None or after is None
    )
    return Observed(days, tried, len(chosen) - len(tried))


async def _prepare(
    scratch: Server,
    schema: Schema,
    used: Set[str],
    both: Sequence[Schema],
    texts: Sequence[tuple[str, Set[str]]],
) -> list[Refused | None]:
    """Return the server's refusal of each text in this schema, None for those that it takes.

    Texts come with the names of the tables and views that they use.
    """
    views = [code for code in schema.code if code.kind is CodeKind.VIEW]
    shown = _made_of(views, used)
    text = " ".join(view.text for view in views if view.name.lower() in shown)
    wanted = {name for name in schema.tables if name.lower() in used or f"`{name}`" in text}
    part = part_of(schema, surroundings(both, wanted))
    code = [
        item
        for item in schema.code
        if item.kind is CodeKind.FUNCTION or (item.kind is CodeKind.VIEW and item.name.lower() in shown)
    ]
    async with proving_ground(scratch, part) as ground:
        broken = {name.lower(): reason for name, reason in (await ground.load_code(code)).items()}
        return [await _refusal(ground, text, broken, names) for text, names in texts]


async def _refusal(
    ground: ProvingGround, text: str, broken: Mapping[str, str], names: Set[str]
) -> Refused | None:
    for name in sorted(broken.keys() & names):
        return Refused(_VIEW_INVALID, f"view {name!r} does not work: {_GROUND.sub('', broken[name])}")
    refusal = await ground.refusal(text)
    # The scratch schema's name says nothing to anybody.
    return None if refusal is None else Refused(refusal.errno, _GROUND.sub("", refusal.message))


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _with_views(touched: Set[str], schemas: Iterable[Schema]) -> frozenset[str]:
    """Return the touched names and the views that are made of them."""
    found = {*_folded(touched)}
    views = {code.name.lower(): code.text for schema in schemas for code in schema.code if _is_view(code)}
    while more := {
        name
        for name, text in views.items()
        if name not in found and any(f"`{each}`" in text.lower() for each in found)
    }:
        found |= more
    return frozenset(found)


def _made_of(views: Sequence[Code], used: Set[str]) -> set[str]:
    """Return the views that are used, and those that they are made of."""
    texts = {view.name.lower(): view.text.lower() for view in views}
    found = {name for name in texts if name in used}
    while more := {
        name for name in texts.keys() - found if any(f"`{name}`" in texts[each] for each in found)
    }:
        found |= more
    return found


def _is_view(code: Code) -> bool:
    return code.kind is CodeKind.VIEW


def _unqualified(text: str, names: Set[str]) -> str:
    """Return a statement without the schema's name in front of tables."""
    data = text.encode()
    found: list[tuple[str, int, int]] = []
    for kind, start, end in pieces(data, Quoting()):
        if kind == UNSURE:
            return text
        piece = data[start:end].decode()
        found.append((piece.strip("`").lower() if kind in (WORD, NAME) else piece, start, end))
    left: list[bytes] = []
    at = 0
    for (name, start, _), (dot, _, after) in itertools.pairwise(found):
        if dot == "." and name in names:
            left.append(data[at:start])
            at = after
    return b"".join([*left, data[at:]]).decode()
