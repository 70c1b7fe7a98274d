from __future__ import annotations

from dataclasses import replace

from migrator.schema.model import Element, ForeignKey, Table
from migrator.schema.parse import parse_create
from router.model import Flavor


def table(*lines: str, tail: str = "", name: str = "t") -> Table:
    text = f"CREATE TABLE `{name}` (\n  " + ",\n  ".join(lines) + "\n) ENGINE=InnoDB" + tail
    return parse_create(text, Flavor.MYSQL)


A = "`a` varchar(5) DEFAULT NULL"


def test_names_of_columns_are_found_in_any_case() -> None:
    assert table("`Name` int DEFAULT NULL").column("nAME") is not None
    assert table("`Name` int DEFAULT NULL").column("other") is None


def test_a_printed_character_set_is_spelling_and_one_in_force_is_not() -> None:
    plain, printed = table(A), table("`a` varchar(5) CHARACTER SET latin1 DEFAULT NULL")
    assert plain.same_as(printed)
    column = replace(plain.columns[0], collation="latin1_swedish_ci")
    assert not plain.same_as(replace(plain, columns=(column,)))


def test_the_name_of_the_table_does_not_count() -> None:
    assert table(A).same_as(table(A, name="u"))


def test_the_order_of_columns_counts() -> None:
    b = "`b` int DEFAULT NULL"
    assert not table(A, b).same_as(table(b, A))


def test_no_action_is_the_same_as_restrict_and_nothing() -> None:
    bare = ForeignKey("f", ("A",), None, "p", ("ID",))
    assert bare.meaning == replace(bare, on_delete="NO ACTION", on_update="RESTRICT", columns=("a",)).meaning
    assert bare.meaning != replace(bare, on_delete="CASCADE").meaning


def test_every_part_of_a_table_is_an_element() -> None:
    whole = table(
        A,
        "PRIMARY KEY (`a`)",
        "KEY `k` (`a`)",
        "CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`id`)",
        "CONSTRAINT `c` CHECK ((`a` > 0))",
        tail=" COMMENT='x'\n/*!50100 PARTITION BY KEY (a) */",
    )
    assert {kind for kind, _ in whole.elements()} == set(Element)
