from __future__ import annotations

from dataclasses import replace

from migrator.schema.drift import find_drift, with_parts
from migrator.schema.model import Code, CodeKind, OpaqueTable, Schema
from migrator.schema.parse import parse_create
from router.model import Flavor

TAIL = "\n) ENGINE=InnoDB{} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"


def schema(tables: dict[str, str], *code: Code, counter: str = "", partitions: str = "") -> Schema:
    parsed = {
        name: parse_create(
            f"CREATE TABLE `{name}` (\n  `id` int NOT NULL{body},\n  PRIMARY KEY (`id`)"
            f"{TAIL.format(counter)}{partitions}",
            Flavor.MYSQL,
        )
        for name, body in tables.items()
    }
    return Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci", parsed, code=code)


def by_range(*names: str) -> str:
    parts = ",\n ".join(f"PARTITION {n} VALUES LESS THAN ({i}) ENGINE = InnoDB" for i, n in enumerate(names))
    return f"\n/*!50100 PARTITION BY RANGE (`id`)\n({parts}) */"


VIEW = Code(CodeKind.VIEW, "v", "CREATE VIEW `v` AS select 1", definer="`a`@`%`")


def test_what_moves_by_itself_is_nobodys_change() -> None:
    assert find_drift(schema({"t": ""}), schema({"t": ""}, counter=" AUTO_INCREMENT=7")) is None
    first, second = (schema({"t": ""}, partitions=by_range(*names)) for names in (("p0", "p1"), ("p1", "p2")))
    assert find_drift(first, second) is None
    assert find_drift(schema({"t": ""}, VIEW), schema({"t": ""}, replace(VIEW, definer="`b`@`%`"))) is None


def test_tables_and_all_else_that_somebody_changed_are_named_with_their_lines() -> None:
    known = schema({"t": "", "gone": ""}, VIEW)
    found = schema(
        {"t": ",\n  `a` int DEFAULT NULL", "new": ""}, replace(VIEW, text="CREATE VIEW `v` AS select 2")
    )
    drift = find_drift(known, found)
    assert drift is not None
    assert (drift.tables, drift.programs) == (("gone", "new", "t"), ("view v",))
    assert drift.names == {"gone", "new", "t", "v"}
    assert "+  `a` int DEFAULT NULL" in drift.diff["t"]
    assert drift.diff.keys() == {"gone", "new", "t", "view v"}
    cut = find_drift(schema({"t": ""}), schema({"t": ""}, partitions=by_range("p0")))
    assert cut is not None


def test_tables_that_are_not_understood_drift_too() -> None:
    known = replace(schema({}), opaque={"o": OpaqueTable("o", "CREATE TABLE `o` (1)", "")})
    assert find_drift(known, known) is None
    drift = find_drift(known, replace(known, opaque={"o": OpaqueTable("o", "CREATE TABLE `o` (2)", "")}))
    assert drift is not None
    assert drift.tables == ("o",)


def test_what_a_deployment_changed_is_known_then() -> None:
    trigger = Code(CodeKind.TRIGGER, "g", "CREATE TRIGGER g …", table="t")
    known = schema({"t": "", "u": ""}, VIEW)
    found = schema({"t": ",\n  `a` int DEFAULT NULL", "u": ",\n  `b` int DEFAULT NULL"}, trigger)
    drift = find_drift(with_parts(known, found, {"t"}), found)
    assert drift is not None
    assert (drift.tables, drift.programs) == (("u",), ("view v",))
