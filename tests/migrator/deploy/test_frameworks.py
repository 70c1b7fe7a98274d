from __future__ import annotations

import pytest

from migrator.deploy.frameworks import (
    Batch,
    Columns,
    MigrationTable,
    Row,
    new_rows,
    plan,
    tables_of,
    with_key,
)
from migrator.deploy.settings import DatabaseSettings, Framework

RAILS = MigrationTable("schema_migrations", ("version",))
DJANGO = MigrationTable("django_migrations", ("app", "name"), counter="id")
FLYWAY = MigrationTable(
    "flyway_schema_history", ("version", "script", "checksum"), "installed_rank", "success"
)


def versions(*names: str) -> tuple[Row, ...]:
    return tuple({"version": name} for name in names)


@pytest.mark.parametrize(
    "framework", [one for one in Framework if one not in (Framework.NONE, Framework.OTHER)]
)
def test_every_framework_has_its_table(framework: Framework) -> None:
    tables = tables_of(DatabaseSettings(migration_framework=framework))
    assert tables
    assert all(table.key and "lock" not in table.name.lower() for table in tables)


def test_a_table_may_have_another_name() -> None:
    settings = DatabaseSettings(migration_framework=Framework.RAILS, migration_table="versions")
    assert [table.name for table in tables_of(settings)] == ["versions", "ar_internal_metadata"]
    other = DatabaseSettings(migration_framework=Framework.OTHER, migration_table="done")
    assert tables_of(other) == (MigrationTable("done"),)
    assert tables_of(DatabaseSettings()) == ()


def test_only_what_the_branch_has_got_since_is_new() -> None:
    batch = new_rows(Batch(RAILS, versions("1", "3", "2")), [("1",), ("0",)])
    assert batch.rows == versions("3", "2")
    assert batch.left == (
        "schema_migrations 0: the branch no longer has it; it is not deleted from the target",
    )


def test_rows_come_in_the_order_in_which_they_were_made() -> None:
    rows: list[Row] = [{"id": 12, "app": "a", "name": "2"}, {"id": 11, "app": "a", "name": "1"}]
    assert [row["id"] for row in new_rows(Batch(DJANGO, tuple(rows)), []).rows] == [11, 12]


def test_what_is_there_is_left_and_told_of_when_it_differs() -> None:
    rows: list[Row] = [
        {"version": "1", "by": "ada"},
        {"version": "2", "by": "ada"},
        {"version": "3", "by": "ada"},
    ]
    target: list[Row] = [{"version": "1", "by": "ada"}, {"version": "2", "by": "bo"}]
    done = plan(RAILS, rows, target, Columns(("version", "by")))
    assert done.insert == ({"version": "3", "by": "ada"},)
    assert done.left == ("schema_migrations 2: it is there already, with other values",)


def test_a_number_that_the_server_gives_is_left_to_it() -> None:
    columns = Columns(("id", "app", "name"), counter="id")
    done = plan(DJANGO, [{"id": 5, "app": "a", "name": "2"}], [{"id": 5, "app": "b", "name": "9"}], columns)
    assert done.insert == ({"app": "a", "name": "2"},)


def test_a_number_that_nobody_gives_goes_on_behind_the_highest() -> None:
    columns = Columns(("installed_rank", "version", "script", "checksum", "success"))
    row = {"installed_rank": 3, "version": "3", "script": "V3.sql", "checksum": -7, "success": 1}
    there = {**row, "installed_rank": 8, "version": "2", "script": "V2.sql"}
    again = {**row, "installed_rank": 4, "version": None, "script": "R__views.sql"}
    failed = {**row, "installed_rank": 5, "version": "5", "success": 0}
    done = plan(FLYWAY, [row, again, failed], [there], columns)
    assert [(new["installed_rank"], new["script"]) for new in done.insert] == [
        (9, "V3.sql"),
        (10, "R__views.sql"),
    ]
    assert done.left == ("flyway_schema_history 5 V3.sql -7: it did not succeed on the branch",)
    same = plan(FLYWAY, [row], [], columns, same_numbers=True)
    assert same.insert == (row,)


def test_columns_that_the_target_lacks_are_left_out() -> None:
    done = plan(RAILS, [{"version": "1", "new": 1}], [], Columns(("version",)))
    assert done.insert == versions("1")


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        (Columns(("name", "at"), "", (("name",),), frozenset({"at"})), ("name",)),
        (Columns(("n", "name", "at"), "n", (("n",), ("name",)), frozenset({"at"})), ("name",)),
        (Columns(("n", "name", "at"), "n", (("n",),), frozenset({"at"})), ("name",)),
        (Columns(("id", "author", "at"), "", (), frozenset({"at"})), ("id", "author")),
    ],
)
def test_the_key_of_an_unknown_table_is_looked_for(columns: Columns, key: tuple[str, ...]) -> None:
    assert with_key(MigrationTable("done"), columns).key == key


def test_names_are_written_as_the_server_writes_them() -> None:
    table = with_key(MigrationTable("t", ("migrationid",)), Columns(("MigrationId", "ProductVersion")))
    assert table.key == ("MigrationId",)
