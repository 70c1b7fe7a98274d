"""I say what a branch does to triggers, routines and events, and where that does not go with production.

All kinds go one way: an object that only the branch changed is carried over whole; one that both changed
differently is a conflict. Their texts are compared as the server prints them, with the sql_mode that they
were written under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.schema.conflicts import Conflict
from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.program_text import trigger_before, trigger_moment
from router.database import quote_name

# In which order they can be made; they go in the opposite one.
KINDS = (
    CodeKind.PACKAGE,
    CodeKind.PACKAGE_BODY,
    CodeKind.FUNCTION,
    CodeKind.PROCEDURE,
    CodeKind.TRIGGER,
    CodeKind.EVENT,
)

_Key = tuple[CodeKind, str]


@dataclass(frozen=True, slots=True)
class ProgramChange:
    """What a trigger, routine or event is on production, and is to be; None is nothing of that name.

    A trigger comes right before the one called `place`, at the end when that is empty.
    """

    kind: CodeKind
    name: str
    before: Code | None
    after: Code | None
    place: str = ""

    @property
    def verb(self) -> str:
        """The word for it: CREATE, ALTER or DROP."""
        return "CREATE" if self.before is None else "DROP" if self.after is None else "ALTER"

    @property
    def table(self) -> str:
        """A trigger's table; '' for everything else."""
        code = self.after or self.before
        return code.table if code else ""

    @property
    def statements(self) -> tuple[str, ...]:
        """The change as SQL, for people."""
        dropped = (f"DROP {self.kind} {quote_name(self.name)}",) if self.before is not None else ()
        if self.after is None:
            return dropped
        text = self.after.text
        if self.place:
            text = trigger_before(text.encode("utf-8", "surrogateescape"), self.place).decode(
                "utf-8", "surrogateescape"
            )
        return (*dropped, text)


@dataclass(frozen=True, slots=True)
class Programs:
    """The changes in an order that works, what conflicts, and sentences about what cannot be deployed."""

    changes: tuple[ProgramChange, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    refused: tuple[str, ...] = ()


def program_changes(base: Schema, branch: Schema, production: Schema, target: Schema) -> Programs:
    """Carry the branch's changes since its base over to production, whose tables become those of `target`."""
    old, ours, theirs = _programs(base), _programs(branch), _programs(production)
    changes: list[ProgramChange] = []
    conflicts: list[Conflict] = []
    refused = _reordered(base, branch, production)
    # As they come on the branch: that is how triggers fire.
    keys = sorted(dict.fromkeys([*ours, *sorted(old)]), key=lambda key: KINDS.index(key[0]))
    for kind, name in keys:
        was, wanted, there = old.get((kind, name)), ours.get((kind, name)), theirs.get((kind, name))
        if wanted in (was, there):
            continue
        if was != there:
            conflicts.append(_conflict(kind, name, was, wanted, there))
        elif wanted is None and kind is CodeKind.TRIGGER and _gone(there, production, target):
            continue  # it goes with its table
        elif wanted is not None and kind is CodeKind.TRIGGER and wanted.table not in target.tables:
            conflicts.append(_without_table(wanted, there))
        elif wanted is not None and there is not None and wanted.table != there.table:
            refused.append(
                f"trigger {name!r} moves from table {there.table!r} to {wanted.table!r}: drop it in one "
                "deploy request, and create it again in another"
            )
        else:
            changes.append(ProgramChange(kind, name, there, wanted, _place(wanted, branch, theirs)))
    return Programs(tuple(_in_order(changes)), tuple(conflicts), tuple(refused))


def with_programs(schema: Schema, changes: Sequence[ProgramChange]) -> tuple[Code, ...]:
    """Return a schema's views, routines and so on with the changes made, triggers in the order they fire."""
    result = list(schema.code)
    for change in changes:
        result = [code for code in result if (code.kind, code.name) != (change.kind, change.name)]
        if change.after is None:
            continue
        names = [(code.kind, code.name) for code in result]
        following = (CodeKind.TRIGGER, change.place)
        at = names.index(following) if change.place and following in names else len(result)
        result.insert(at, change.after)
    tables = set(schema.tables)
    return tuple(code for code in result if code.kind is not CodeKind.TRIGGER or code.table in tables)


def triggers_of(code: Sequence[Code], table: str) -> tuple[Code, ...]:
    """Return the triggers of one table."""
    return tuple(each for each in code if each.kind is CodeKind.TRIGGER and each.table == table)


def _programs(schema: Schema) -> dict[_Key, Code]:
    return {(code.kind, code.name): code for code in schema.code if code.kind is not CodeKind.VIEW}


def _gone(trigger: Code | None, production: Schema, target: Schema) -> bool:
    return trigger is not None and trigger.table in production.tables and trigger.table not in target.tables


def _conflict(
    kind: CodeKind, name: str, was: Code | None, wanted: Code | None, there: Code | None
) -> Conflict:
    if was is None:
        reason = f"the branch and production each created {kind.lower()} {name!r}, and the two differ"
    else:
        verbs = ["dropped" if side is None else "changed" for side in (wanted, there)]
        reason = f"the branch {verbs[0]} {kind.lower()} {name!r}, and production {verbs[1]} it since"
    mine, other = (None if side is None else side.text for side in (wanted, there))
    subject = next((side.table for side in (wanted, there, was) if side), "")
    return Conflict(subject, f"{kind.lower()} {name}", mine, other, reason)


def _without_table(wanted: Code, there: Code | None) -> Conflict:
    return Conflict(
        wanted.table,
        f"trigger {wanted.name}",
        wanted.text,
        None if there is None else there.text,
        f"the branch has trigger {wanted.name!r} on table {wanted.table!r}, which production dropped since",
    )


def _place(wanted: Code | None, branch: Schema, theirs: dict[_Key, Code]) -> str:
    """Return the trigger that comes next on the branch among those that production has."""
    if wanted is None or wanted.kind is not CodeKind.TRIGGER:
        return ""
    line = triggers_of(branch.code, wanted.table)
    moment = trigger_moment(wanted.text)
    for other in line[line.index(wanted) + 1 :]:
        if (CodeKind.TRIGGER, other.name) in theirs and trigger_moment(other.text) == moment:
            return other.name
    return ""


def _reordered(base: Schema, branch: Schema, production: Schema) -> list[str]:
    """Say of which tables the branch changed nothing but the order in which unchanged triggers fire."""
    theirs = {code.name for code in production.code if code.kind is CodeKind.TRIGGER}
    found = []
    for table in branch.tables:
        before, after = triggers_of(base.code, table), triggers_of(branch.code, table)
        kept = [code for code in before if code in after and code.name in theirs]
        if kept != [code for code in after if code in kept]:
            names = ", ".join(repr(code.name) for code in after if code in kept)
            found.append(
                f"the triggers of table {table!r} fire in another order ({names}), and nothing else of them "
                "is changed: that is not deployed. Create the one that moves anew on the branch, with a "
                "comment added to its body: then it is deployed, at its new place"
            )
    return found


def _in_order(changes: Sequence[ProgramChange]) -> list[ProgramChange]:
    """Put what comes before what goes; triggers in the order in which they fire, as `place` needs it."""
    coming = [change for change in changes if change.after is not None]
    going = [change for change in reversed(changes) if change.after is None]
    return [*coming, *going]
