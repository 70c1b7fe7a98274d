from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.schema.diff import diff, unified_diff, unsupported_changes
from migrator.schema.errors import SchemaError
from migrator.schema.model import OpaqueTable, Schema
from migrator.schema.parse import parse_create
from migrator.schema.plan import OperationKind
from router.model import Flavor

EMPTY = Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci")
TAIL = "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"


def schema(**tables: str) -> Schema:
    """Return a schema whose tables have these lines besides a key."""
    parsed = {
        name: parse_create(f"CREATE TABLE `{name}` (\n  `id` int NOT NULL{lines}{TAIL}", Flavor.MYSQL)
        for name, lines in tables.items()
    }
    return replace(EMPTY, tables=parsed)


def points_to(parent: str, name: str = "f") -> str:
    return f",\n  KEY `{name}` (`id`),\n  CONSTRAINT `{name}` FOREIGN KEY (`id`) REFERENCES `{parent}` (`id`)"


def order(before: Schema, after: Schema) -> list[tuple[OperationKind, str]]:
    return [(operation.kind, operation.table) for operation in diff(before, after).operations]


CREATE, ALTER, DROP = OperationKind.CREATE, OperationKind.ALTER, OperationKind.DROP


def test_creations_come_before_alterations_before_removals() -> None:
    before, after = schema(gone="", kept=""), schema(kept=",\n  `n` int DEFAULT NULL", made="")
    assert order(before, after) == [(CREATE, "made"), (ALTER, "kept"), (DROP, "gone")]


def test_parents_are_made_before_children_and_go_after_them() -> None:
    family = schema(a=points_to("b"), b=points_to("c", "g"), c="")
    assert order(EMPTY, family) == [(CREATE, "c"), (CREATE, "b"), (CREATE, "a")]
    assert order(family, EMPTY) == [(DROP, "a"), (DROP, "b"), (DROP, "c")]


def test_a_child_is_made_after_its_parent_is_altered() -> None:
    before, after = schema(p=""), schema(p=",\n  PRIMARY KEY (`id`)", c=points_to("p"))
    assert order(before, after) == [(ALTER, "p"), (CREATE, "c")]


def test_a_ring_of_foreign_keys_is_closed_at_the_end() -> None:
    ring = schema(a=points_to("b"), b=points_to("a", "g"))
    plan = diff(EMPTY, ring)
    assert order(EMPTY, ring) == [(CREATE, "a"), (CREATE, "b"), (ALTER, "a"), (ALTER, "b")]
    assert "FOREIGN KEY" not in "".join(plan.statements[:2])


def test_a_renamed_table_does_not_fight_over_the_names_of_its_checks() -> None:
    check = ",\n  CONSTRAINT `positive` CHECK ((`id` > 0))"
    created, _ = diff(schema(old=check), schema(new=check)).statements
    assert "CHECK ((`id` > 0))" in created
    assert "positive" not in created


def test_removals_say_what_is_lost() -> None:
    assert diff(schema(t=""), EMPTY).operations[0].losses == ("table 't' with all its rows",)


def test_tables_we_do_not_understand_are_told_only_when_they_differ() -> None:
    table = OpaqueTable("t", "CREATE TABLE `t` (…)", "'FROB' is not known")
    before = replace(EMPTY, opaque={"t": table})
    assert diff(before, before).empty
    (sentence,) = diff(before, replace(EMPTY, opaque={"t": replace(table, text="other")})).unsupported
    assert "'FROB' is not known" in sentence
    assert diff(before, EMPTY).unsupported


def test_the_databases_default_collation_is_told() -> None:
    changed = replace(EMPTY, collation="latin1_swedish_ci")
    (sentence,) = unsupported_changes(EMPTY, changed)
    assert "latin1_swedish_ci" in sentence
    assert not list(unsupported_changes(EMPTY, changed, changed))


def test_flavours_are_not_mixed() -> None:
    with pytest.raises(SchemaError):
        diff(EMPTY, replace(EMPTY, flavor=Flavor.MARIADB))


def test_people_see_the_lines_that_differ() -> None:
    before, after = schema(t="", same="", gone=""), schema(t=",\n  `n` int DEFAULT NULL", same="")
    changed = unified_diff(before, after)
    assert changed.keys() == {"t", "gone"}
    assert "+  `n` int DEFAULT NULL" in changed["t"].splitlines()
    assert all(line.startswith(("-", "@")) for line in changed["gone"].splitlines())


def test_people_do_not_see_what_is_only_spelling() -> None:
    before, after = (schema(t=f",\n  CONSTRAINT `{name}` CHECK ((`id` > 0))") for name in ("one", "another"))
    assert unified_diff(before, after) == {}
