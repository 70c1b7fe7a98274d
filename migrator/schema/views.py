"""I say what a branch does to views, in an order in which it can be done."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.schema.model import Code, CodeKind, Schema
from router.database import quote_name


@dataclass(frozen=True, slots=True)
class ViewChange:
    """What a view is on production, and is to be; None is no view."""

    name: str
    before: Code | None
    after: Code | None

    @property
    def kind(self) -> str:
        """The word for it."""
        return "CREATE" if self.before is None else "DROP" if self.after is None else "ALTER"

    @property
    def statement(self) -> str:
        """The change as SQL, for people."""
        if self.after is None:
            return f"DROP VIEW {quote_name(self.name)}"
        text = self.after.text
        return text if self.before is None else text.replace("CREATE ", "CREATE OR REPLACE ", 1)


def view_changes(
    base: Schema, branch: Schema, production: Schema
) -> tuple[tuple[ViewChange, ...], list[str]]:
    """Return the branch's changes of views since its base, and sentences about those that cannot be made."""
    old, ours, theirs = (_views(schema) for schema in (base, branch, production))
    changes, refused = [], []
    for name in sorted({*old, *ours}):
        if old.get(name) == ours.get(name) or ours.get(name) == theirs.get(name):
            continue
        if old.get(name) != theirs.get(name):
            refused.append(f"view {name!r} was changed differently on the branch and on production")
        elif name in branch.tables or name in production.tables:
            refused.append(f"view {name!r} is a table on one side: drop one before the other comes")
        else:
            changes.append(ViewChange(name, theirs.get(name), ours.get(name)))
    return tuple(_in_order(changes)), refused


def with_views(schema: Schema, changes: tuple[ViewChange, ...]) -> tuple[Code, ...]:
    """Return a schema's views, routines and so on with the changes made."""
    changed = {change.name for change in changes}
    kept = [code for code in schema.code if code.kind is not CodeKind.VIEW or code.name not in changed]
    return (*kept, *(change.after for change in changes if change.after is not None))


def view_texts(schema: Schema) -> dict[str, str]:
    """Return the CREATE VIEW of each of a schema's views, by name."""
    return {name: code.text for name, code in _views(schema).items()}


def _views(schema: Schema) -> dict[str, Code]:
    return {code.name: code for code in schema.code if code.kind is CodeKind.VIEW}


def _in_order(changes: list[ViewChange]) -> list[ViewChange]:
    """Put views behind those they are made of; what goes, goes last, and in the opposite order."""
    ordered: list[ViewChange] = []
    left = list(changes)
    while left:
        names = {change.name for change in left}
        free = [change for change in left if not _made_of(change) & (names - {change.name})] or left
        ordered += free
        left = [change for change in left if change not in free]
    return [each for each in ordered if each.after] + [each for each in ordered[::-1] if not each.after]


def _made_of(change: ViewChange) -> set[str]:
    code = change.after or change.before
    text = code.text if code else ""
    return set(text.split("`")[1::2])
