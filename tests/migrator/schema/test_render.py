from __future__ import annotations

from migrator.schema.parse import parse_create
from migrator.schema.render import render_create
from router.model import Flavor

TAIL = "\n) ENGINE=InnoDB AUTO_INCREMENT=50 DEFAULT CHARSET=utf8mb4"
BODY = (
    "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  KEY `k` (`id`),\n"
    "  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `p` (`id`),\n  CONSTRAINT `c` CHECK ((`id` > 0))"
)


def test_the_counter_belongs_to_the_rows() -> None:
    assert "AUTO_INCREMENT" not in render_create(parse_create(BODY + TAIL, Flavor.MYSQL))


def test_constraints_keep_their_names() -> None:
    text = render_create(parse_create(BODY + TAIL, Flavor.MYSQL))
    assert "CONSTRAINT `f`" in text
    assert "CONSTRAINT `c`" in text


def test_names_that_would_clash_are_left_to_the_server() -> None:
    mysql = render_create(parse_create(BODY + TAIL, Flavor.MYSQL), without_names=("f", "c"))
    assert "CONSTRAINT" not in mysql
    mariadb = render_create(parse_create(BODY + TAIL, Flavor.MARIADB), without_names=("f", "c"))
    assert "CONSTRAINT `f`" not in mariadb
    assert "CONSTRAINT `c`" in mariadb


def test_bytes_that_are_no_text_are_written_as_hexadecimal() -> None:
    text = "CREATE TABLE `t` (\n  `a` varbinary(9) DEFAULT '\udcff''\\\\\\0é\\n'" + TAIL
    assert "DEFAULT 0xff275c00c3a90a" in render_create(parse_create(text, Flavor.MARIADB))
