from __future__ import annotations

from migrator.schema.model import Table
from migrator.schema.parse import parse_create
from migrator.schema.reconcile import reconciled
from router.model import Flavor

KEY = "CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`id`)"


def table(*indexes: str, key: str = KEY) -> Table:
    lines = ["`a` int DEFAULT NULL", "`b` int DEFAULT NULL", *indexes, key]
    return parse_create("CREATE TABLE `c` (\n  " + ",\n  ".join(lines) + "\n) ENGINE=InnoDB", Flavor.MYSQL)


def test_an_index_of_a_foreign_key_may_be_missing_when_another_serves() -> None:
    wanted, found = table("KEY `f` (`a`)", "KEY `wide` (`a`,`b`)"), table("KEY `wide` (`a`,`b`)")
    (sentence,) = reconciled(found, wanted) or ()
    assert "has no index 'f'" in sentence
    (sentence,) = reconciled(wanted, found) or ()
    assert "has also index 'f'" in sentence


def test_an_index_of_a_foreign_key_may_have_another_name() -> None:
    assert len(reconciled(table("KEY `f` (`a`)"), table("KEY `other` (`a`)")) or ()) == 2


def test_other_indexes_must_be_as_they_should() -> None:
    with_f = table("KEY `f` (`a`)")
    assert reconciled(table("KEY `f` (`a`)", "KEY `b` (`b`)"), with_f) is None
    assert reconciled(table("UNIQUE KEY `u` (`a`)", "KEY `f` (`a`)"), with_f) is None
    assert reconciled(table("KEY `f` (`a`)", "KEY `g` (`a`) COMMENT 'x'"), with_f) is None
    assert reconciled(table("KEY `wide` (`b`,`a`)"), with_f) is None


def test_nothing_else_may_differ() -> None:
    cascading = table("KEY `wide` (`a`,`b`)", key=KEY + " ON DELETE CASCADE")
    assert reconciled(cascading, table("KEY `f` (`a`)", "KEY `wide` (`a`,`b`)")) is None
    assert reconciled(table("KEY `f` (`a`)"), table("KEY `f` (`a`)")) == ()
