from __future__ import annotations

from dataclasses import replace

from migrator.schema.alter import alter_table
from migrator.schema.delta import delta
from migrator.schema.diff import diff
from migrator.schema.model import Schema, Table
from migrator.schema.parse import parse_create
from migrator.schema.plan import OperationKind
from migrator.schema.renamed import borne, inverse, names_in, renamed_columns, shown, under_new_names, without
from migrator.schema.renames import NONE, Renames
from router.model import Flavor

EMPTY = Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci")


def table(name: str, *lines: str) -> Table:
    body = ["`id` int NOT NULL", *lines]
    return parse_create(
        f"CREATE TABLE `{name}` (\n  " + ",\n  ".join(body) + "\n) ENGINE=InnoDB", Flavor.MYSQL
    )


def schema(*tables: Table) -> Schema:
    return replace(EMPTY, tables={each.name: each for each in tables})


A, B = "`a` int DEFAULT NULL", "`b` int DEFAULT NULL"


def test_what_is_made_of_a_column_follows_its_new_name() -> None:
    lines = [
        "`{0}` int DEFAULT NULL",
        "`g` int GENERATED ALWAYS AS ((`{0}` + length('`a`'))) VIRTUAL",
        "KEY `k` (`{0}`,((`{0}` + 1)))",
        "CONSTRAINT `f` FOREIGN KEY (`{0}`) REFERENCES `t` (`{0}`)",
        "CONSTRAINT `c` CHECK ((`{0}` > 0))",
    ]
    before, after = (table("t", *(line.format(name) for line in lines)) for name in "ab")
    assert renamed_columns(before, {"A": "b"}).same_as(after)
    assert under_new_names(schema(before), Renames({"t": {"a": "b"}})).tables["t"].same_as(after)


def test_names_in_strings_are_no_names() -> None:
    assert names_in("(`a` = '`b`') or (`C``d` = 1)") == {"a", "c`d"}
    assert names_in(None) == set()


def test_names_can_be_exchanged() -> None:
    before = table("t", A, "`b` text", "KEY `k` (`a`)")
    after = table("t", "`b` int DEFAULT NULL", "`a` text", "KEY `k` (`b`)")
    swap = {"a": "b", "b": "a"}
    assert renamed_columns(before, swap).same_as(after)
    statements, losses = alter_table(before, after, swap)
    assert statements == ("ALTER TABLE `t` RENAME COLUMN `a` TO `b`, RENAME COLUMN `b` TO `a`",)
    assert not losses


def test_a_renamed_column_that_changes_too_is_changed_in_one_clause() -> None:
    statements, _ = alter_table(table("t", A), table("t", "`b` bigint DEFAULT NULL"), {"a": "b"})
    assert statements == ("ALTER TABLE `t` CHANGE COLUMN `a` `b` bigint DEFAULT NULL",)


def test_what_is_computed_from_a_renamed_column_is_made_anew() -> None:
    lines = ["`{0}` int DEFAULT NULL", "`g` int GENERATED ALWAYS AS ((`{0}` + 1)) VIRTUAL"]
    lines += ["KEY `k` (((`{0}` + 2)))", "CONSTRAINT `c` CHECK ((`{0}` > 0))"]
    before, after = (table("t", *(line.format(name) for line in lines)) for name in "ab")
    (statement,), losses = alter_table(before, after, {"a": "b"})
    for clause in ("DROP CHECK `c`", "DROP INDEX `k`", "DROP COLUMN `g`", "RENAME COLUMN `a` TO `b`"):
        assert clause in statement
    for clause in ("ADD COLUMN `g`", "ADD KEY `k` (((`b` + 2)))", "ADD CONSTRAINT `c` CHECK ((`b` > 0))"):
        assert clause in statement
    assert not losses


def test_a_renaming_that_two_schemas_do_not_bear_out_is_none() -> None:
    before, after = schema(table("t", A)), schema(table("t", B))
    known = Renames({"t": {"a": "b"}})
    assert borne(known, before, after) == known
    assert not borne(known, before, before)
    assert not borne(Renames({"t": {"x": "b"}}), before, after)
    assert not borne(Renames({}, {"t": "u"}), before, after)


def test_renames_are_turned_round_and_compared() -> None:
    known = Renames({"t": {"a": "b"}}, {"t": "u"})
    assert inverse(known) == Renames({"u": {"b": "a"}}, {"u": "t"})
    assert without(known, known) == NONE
    assert without(known, Renames({}, {"t": "u"})) == Renames({"t": {"a": "b"}})


def test_children_of_a_renamed_parent_are_not_changed() -> None:
    child = "KEY `f` (`id`)", "CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `{0}` (`{1}`)"
    before = schema(table("p", A), table("c", child[0], child[1].format("p", "a")))
    after = schema(table("p", B), table("c", child[0], child[1].format("p", "b")))
    plan = diff(before, after, Renames({"p": {"a": "b"}}))
    assert plan.statements == ("ALTER TABLE `p` RENAME COLUMN `a` TO `b`",)
    moved = schema(table("q", A), table("c", child[0], child[1].format("q", "a")))
    plan = diff(before, moved, Renames({}, {"p": "q"}))
    assert plan.statements == ("RENAME TABLE `p` TO `q`",)
    (operation,) = plan.operations
    assert (operation.kind, operation.former, operation.table) == (OperationKind.RENAME, "p", "q")
    assert plan.touched == {"p", "q"}


def test_a_renamed_table_may_change_as_well() -> None:
    before, after = schema(table("t", A)), schema(table("u", "`b` bigint DEFAULT NULL"))
    plan = diff(before, after, Renames({"t": {"a": "b"}}, {"t": "u"}))
    assert plan.statements == (
        "RENAME TABLE `t` TO `u`",
        "ALTER TABLE `u` CHANGE COLUMN `a` `b` bigint DEFAULT NULL",
    )


def test_the_differences_of_a_renamed_column_are_no_removal() -> None:
    found = delta(table("t", A, "KEY `k` (`a`)"), table("t", B, "KEY `k` (`b`)"), {"a": "b"})
    assert found.kinds == {"columns_changed"}


def test_an_exchange_of_columns_counts_only_between_schemas_that_show_it() -> None:
    old = schema(table("t", A, "`b` text", "`c` int"), table("u", A))
    new = schema(table("t", "`b` int DEFAULT NULL", "`a` text", "`d` int"), table("v", A))
    exchange = {"a": "B", "b": "A", "c": "d"}
    assert shown(Renames({"t": exchange}, {"u": "v"}), old, new) == Renames({"t": exchange}, {"u": "v"})
    # A base that was taken after the exchange has it already.
    assert shown(Renames({"t": exchange}), new, new) == Renames({"t": {"c": "d"}})
    assert shown(NONE, old, new) == NONE
