from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.errors import NotCanonical
from migrator.schema.model import IndexKind, Table
from migrator.schema.parse import parse_create, with_collations
from migrator.schema.render import canonical_text
from router.model import Flavor
from tests.migrator.schema.corpus import CORPUS

TAIL = "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"


def canonical(flavor: Flavor) -> list[str]:
    text = (CORPUS / "canonical" / f"{flavor}.sql").read_text()
    return [part for part in text.split(";\n\n") if part]


CANONICAL = [(flavor, text) for flavor in Flavor for text in canonical(flavor)]


def parse(body: str, flavor: Flavor = Flavor.MYSQL) -> Table:
    return parse_create(f"CREATE TABLE `t` (\n  {body}{TAIL}", flavor)


@pytest.mark.parametrize(("flavor", "text"), CANONICAL, ids=[text.split("`")[1] for _, text in CANONICAL])
def test_what_servers_print_is_printed_back(flavor: Flavor, text: str) -> None:
    assert canonical_text(parse_create(text, flavor)) == text


def test_a_column_is_read_with_all_that_it_has() -> None:
    column = parse(
        "`a` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'it''s' "
        "/*!80023 INVISIBLE */ COMMENT 'c'"
    ).columns[0]
    assert (str(column.type), column.character_set, column.collate) == ("varchar(20)", "latin1", "latin1_bin")
    assert (column.nullable, column.default, column.invisible, column.comment) == (
        False,
        "'it''s'",
        True,
        "'c'",
    )


def test_an_index_is_read_with_all_that_it_has() -> None:
    table = parse(
        "`a` int DEFAULT NULL,\n  `b` text,\n"
        "  KEY `k` (`b`(10) DESC,((`a` + 1)),`a`) COMMENT 'x' /*!80000 INVISIBLE */"
    )
    index = table.indexes[0]
    assert index.kind is IndexKind.PLAIN
    assert [(part.column, part.prefix, part.descending) for part in index.parts[::2]] == [
        ("b", 10, True),
        ("a", None, False),
    ]
    assert index.parts[1].expression == "(`a` + 1)"
    assert not index.visible


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("`a` int DEFAULT NULL FROBNICATED", "FROBNICATED"),
        ("`a` int DEFAULT NULL /*!99999 FROBNICATED */", "99999 FROBNICATED"),
        ("`a` int DEFAULT NULL,\n  PERIOD FOR `p` (`a`,`b`)", "PERIOD"),
        ("`a` int DEFAULT NULL,\n  KEY `k` (`a`) FROBNICATED", "FROBNICATED"),
        ("`a` int COMMENT 'x' DEFAULT NULL", "COMMENT"),
        ("`a` int  DEFAULT NULL", "int  DEFAULT"),
        ("`a` int DEFAULT NULL,\n  CONSTRAINT `c` EXCLUDE (`a`)", "EXCLUDE"),
    ],
)
def test_what_is_not_known_or_not_canonical_is_refused_by_name(body: str, named: str) -> None:
    with pytest.raises(NotCanonical, match=named.replace("(", r"\(")):
        parse(body)


@pytest.mark.parametrize(
    "tail", [" FROBNICATE=1", " /*!99999 FROBNICATE */", " WITH SYSTEM VERSIONING", " x"]
)
def test_an_unknown_table_option_is_refused(tail: str) -> None:
    with pytest.raises(NotCanonical):
        parse_create(f"CREATE TABLE `t` (\n  `a` int DEFAULT NULL{TAIL}{tail}", Flavor.MYSQL)


@pytest.mark.parametrize(
    ("flavor", "column", "collation", "refused"),
    [
        (Flavor.MYSQL, "enum('?','b') DEFAULT NULL", "utf8mb4_0900_ai_ci", True),
        (Flavor.MYSQL, "enum('?','b') DEFAULT NULL", "latin1_swedish_ci", False),
        (Flavor.MYSQL, "varchar(5) DEFAULT '?'", "utf8mb4_0900_ai_ci", False),
        (Flavor.MARIADB, "set('?','b') DEFAULT NULL", "utf8mb4_general_ci", True),
        (Flavor.MARIADB, "varchar(5) DEFAULT 'a?'", "utf8mb4_general_ci", True),
        (Flavor.MARIADB, "varchar(5) DEFAULT 'a?'", "utf8mb3_general_ci", False),
        (Flavor.MARIADB, "varbinary(5) DEFAULT 'a?'", None, False),
        (Flavor.MARIADB, "varchar(5) DEFAULT concat('?')", "utf8mb4_general_ci", False),
    ],
)
def test_text_that_the_server_may_have_garbled_is_refused(
    flavor: Flavor, column: str, collation: str | None, refused: bool
) -> None:
    table = parse(f"`a` {column}", flavor)
    if refused:
        with pytest.raises(NotCanonical, match="emoji"):
            with_collations(table, "utf8mb4_general_ci", {"a": collation})
    else:
        with_collations(table, "utf8mb4_general_ci", {"a": collation})


@given(st.sampled_from(CANONICAL), st.data())
def test_damaged_definitions_are_refused_or_printed_back_as_they_are(
    known: tuple[Flavor, str], data: st.DataObject
) -> None:
    flavor, text = known
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    damaged = text[:start] + data.draw(st.text(" ,()'`*/!x1=\n", max_size=4)) + text[end:]
    try:
        table = parse_create(damaged, flavor)
    except NotCanonical:
        return
    assert canonical_text(table) == damaged


@given(st.text())
def test_any_text_is_refused_or_printed_back(text: str) -> None:
    try:
        table = parse_create("CREATE TABLE " + text, Flavor.MYSQL)
    except NotCanonical:
        return
    assert canonical_text(table) == "CREATE TABLE " + text
