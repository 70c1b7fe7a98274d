from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.column_order import ColumnOrder
from migrator.schema.merge import merge
from migrator.schema.model import OpaqueTable, Schema
from migrator.schema.parse import parse_create, with_collations
from migrator.schema.renames import Renames
from router.model import Flavor

EMPTY = Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci")


def schema(*columns: str, collation: str = "utf8mb4_0900_ai_ci", **lines: str) -> Schema:
    """Return a schema with a table `t` of these columns, plain texts each."""
    body = [f"`{column}` varchar(5) DEFAULT NULL" for column in columns]
    body += lines.values()
    tail = f"\n) ENGINE=InnoDB DEFAULT CHARSET={collation.split('_')[0]} COLLATE={collation}"
    table = parse_create("CREATE TABLE `t` (\n  " + ",\n  ".join(body) + tail, Flavor.MYSQL)
    return replace(EMPTY, tables={"t": with_collations(table, collation, dict.fromkeys(columns, collation))})


def columns(result: Schema) -> str:
    return " ".join(result.tables["t"].column_order)


def merged_columns(base: str, branch: str, production: str) -> str:
    merged = merge(*(schema(*text.split()) for text in (base, branch, production)))
    assert not merged.conflicts
    return columns(merged.target)


def test_columns_of_both_sides_keep_their_neighbours() -> None:
    assert merged_columns("a b", "a x b", "a b y") == "a x b y"


def test_productions_column_comes_first_where_both_added_one() -> None:
    assert merged_columns("a b", "a x b", "a y b") == "a y x b"
    assert merged_columns("a", "a x z", "a y") == "a y x z"


def test_a_column_finds_its_place_when_its_neighbour_has_gone() -> None:
    assert merged_columns("a b c", "a b x c", "a c") == "a x c"


def test_a_moved_column_moves_among_new_ones() -> None:
    assert merged_columns("a b c", "c a b", "a b y c") == "c a b y"


def test_columns_moved_alike_are_no_conflict() -> None:
    assert merged_columns("a b c", "c a b", "c a b") == "c a b"


def test_what_both_did_alike_is_left_out_of_the_change() -> None:
    base, both = schema("a"), schema("a", "b")
    assert merge(base, both, both).target.same_as(both)


def test_a_column_keeps_its_collation_under_another_default() -> None:
    base = schema("a")
    latin = replace(schema("a", collation="latin1_swedish_ci").tables["t"], columns=base.tables["t"].columns)
    branch = schema("a", x="KEY `k` (`a`)")
    merged = merge(base, branch, replace(base, tables={"t": latin}))
    column = merged.target.tables["t"].columns[0]
    assert merged.target.tables["t"].collation == "latin1_swedish_ci"
    assert column.collation == "utf8mb4_0900_ai_ci"


def test_a_conflict_names_the_element_and_both_sides() -> None:
    base, branch, production = (
        schema("a"),
        schema("a", k="KEY `k` (`a`)"),
        schema("a", k="UNIQUE KEY `k` (`a`)"),
    )
    (conflict,) = merge(base, branch, production).conflicts
    assert (conflict.table, conflict.element) == ("t", "index k")
    assert (conflict.ours, conflict.theirs) == ("KEY `k` (`a`)", "UNIQUE KEY `k` (`a`)")
    assert "each added index k" in str(conflict)


def test_a_dropped_and_changed_table_is_a_conflict_in_both_directions() -> None:
    base, changed, dropped = schema("a"), schema("a", "b"), EMPTY
    assert "production dropped it" in merge(base, changed, dropped).conflicts[0].reason
    assert "production changed it" in merge(base, dropped, changed).conflicts[0].reason
    assert not merge(base, base, dropped).conflicts
    assert not merge(base, dropped, base).target.tables


def test_a_table_of_productions_that_we_do_not_understand_is_a_conflict() -> None:
    opaque = OpaqueTable("t", "CREATE TABLE …", "it is odd")
    production = replace(EMPTY, opaque={"t": opaque})
    (conflict,) = merge(schema("a"), schema("a", "b"), production).conflicts
    assert "it is odd" in conflict.reason


def edited(added: str) -> st.SearchStrategy[list[str]]:
    """Return orders of the base's columns, some gone, with new ones in between."""
    names = ["a", "b", "c", "d", "e", *added]
    return st.lists(st.sampled_from(names), unique=True, min_size=1)


BASE_ORDER = ["a", "b", "c", "d", "e"]


@given(edited("xyz"))
def test_with_production_unmoved_the_branch_is_the_outcome(branch: list[str]) -> None:
    base, ours = schema(*BASE_ORDER), schema(*branch)
    assert merge(base, ours, base).target.same_as(ours)
    assert merge(base, base, ours).target.same_as(ours)
    assert merge(base, ours, ours).target.same_as(ours)


@given(edited("xyz"), edited("uvw"))
def test_both_sides_columns_are_all_there_or_a_conflict_is_told(
    branch: list[str], production: list[str]
) -> None:
    base, ours, theirs = schema(*BASE_ORDER), schema(*branch), schema(*production)
    merged, mirrored = merge(base, ours, theirs), merge(base, theirs, ours)
    assert bool(merged.conflicts) == bool(mirrored.conflicts)
    expected = {
        name
        for name in {*BASE_ORDER, *branch, *production}
        if (name in branch) + (name in production) == 2 or name not in BASE_ORDER
    }
    if not merged.conflicts:
        assert set(merged.target.tables["t"].column_order) == expected
        assert set(mirrored.target.tables["t"].column_order) == expected


def tables(**columns: list[str]) -> Schema:
    """Return a schema of tables with these columns."""
    return replace(
        EMPTY, tables={name: replace(schema(*each).tables["t"], name=name) for name, each in columns.items()}
    )


@given(edited("xyz"), edited("xyz"), st.booleans())
def test_changes_of_different_tables_never_conflict(ours: list[str], theirs: list[str], gone: bool) -> None:
    base = tables(t=BASE_ORDER, u=BASE_ORDER)
    branch, production = tables(t=ours, u=BASE_ORDER), tables(t=BASE_ORDER, u=theirs)
    if gone:
        production = tables(t=BASE_ORDER)
    for order in ColumnOrder:
        merged = merge(base, branch, production, column_order=order)
        mirrored = merge(base, production, branch, column_order=order)
        assert not merged.conflicts
        assert merged.target.same_as(mirrored.target)
        assert merged.target.tables["t"].same_as(branch.tables["t"])


@given(edited("xyz"), edited("xyzuv"))
def test_the_verdict_is_the_same_from_both_sides(ours: list[str], theirs: list[str]) -> None:
    base, branch, production = schema(*BASE_ORDER), schema(*ours), schema(*theirs)
    moved = Renames({"t": {"a": "x"}})
    for order in ColumnOrder:
        one = merge(base, branch, production, renames=moved, column_order=order)
        other = merge(base, production, branch, their_renames=moved, column_order=order)
        assert bool(one.conflicts) == bool(other.conflicts)
        if order is ColumnOrder.STRICT and not one.conflicts:
            assert one.target.same_as(other.target)
