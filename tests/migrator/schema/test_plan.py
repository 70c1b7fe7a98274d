from __future__ import annotations

from dataclasses import replace

from migrator.schema.alter import alter_table
from migrator.schema.model import Table
from migrator.schema.parse import parse_create
from migrator.schema.plan import Operation, OperationKind, Plan, in_runnable_order
from migrator.schema.questions import possible_renames
from router.model import Flavor


def table(name: str, *lines: str, parent: str = "") -> Table:
    body = ["`id` int NOT NULL", *lines]
    if parent:
        body.append(f"CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `{parent}` (`id`)")
    text = f"CREATE TABLE `{name}` (\n  " + ",\n  ".join(body) + "\n) ENGINE=InnoDB"
    return parse_create(text, Flavor.MYSQL)


def operation(before: Table | None, after: Table | None) -> Operation:
    if before is None:
        assert after is not None
        return Operation(OperationKind.CREATE, after.name, (), None, after)
    if after is None:
        return Operation(OperationKind.DROP, before.name, (), before, None)
    return Operation(OperationKind.ALTER, before.name, alter_table(before, after)[0], before, after)


A, B = "`a` int DEFAULT NULL", "`b` int DEFAULT NULL"


def test_what_looks_like_a_renamed_column_is_asked() -> None:
    (question,) = possible_renames(Plan((operation(table("t", A), table("t", B)),)))
    assert "'a' was renamed to 'b'" in question.sentence
    assert question.asks


def test_what_looks_like_a_renamed_table_is_asked() -> None:
    (question,) = possible_renames(Plan((operation(None, table("new", A)), operation(table("old", A), None))))
    assert "'old' was renamed to 'new'" in question.sentence
    assert question.key == "RENAME:old:table"


def test_a_column_that_is_renamed_is_not_asked_about() -> None:
    known = replace(operation(table("t", A), table("t", B)), renames={"a": "b"})
    assert not possible_renames(Plan((known,)))
    assert Plan((known,)).renames.columns == {"t": {"a": "b"}}


def test_a_removal_and_an_addition_of_another_kind_are_no_renaming() -> None:
    assert not possible_renames(Plan((operation(table("t", A), table("t", "`b` text")),)))
    assert not possible_renames(Plan((operation(None, table("new", A)), operation(table("old", B), None))))


def test_operations_that_wait_for_each_other_run_all_the_same() -> None:
    one, other = operation(None, table("a", parent="b")), operation(None, table("b", parent="a"))
    assert in_runnable_order([other, one]) == (one, other)


def test_a_parent_goes_after_the_child_that_stops_pointing_to_it() -> None:
    child = operation(table("z", parent="p"), table("z"))
    parent = operation(table("p"), None)
    assert in_runnable_order([parent, child]) == (child, parent)


def test_a_parent_is_altered_after_the_child_that_stops_pointing_to_it() -> None:
    child = operation(table("z", parent="p"), table("z"))
    parent = operation(table("p", A), table("p", B))
    assert in_runnable_order([parent, child]) == (child, parent)


def test_an_empty_plan_is_empty_and_one_with_something_to_say_is_not() -> None:
    assert Plan().empty
    assert not Plan(unsupported=("view 'v' is changed",)).empty
    assert not Plan((operation(None, table("t")),)).empty
