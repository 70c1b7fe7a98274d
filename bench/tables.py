"""I make databases with many tables, and know what changes a few of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from migrator.schema.model import Schema
from router.database import Connection, quote_name
from router.model import Server

CHANGED: Final = 5
LOADERS: Final = 4
COLUMNS: Final = (
    "`customer` bigint unsigned NOT NULL",
    "`email` varchar(190) NOT NULL",
    "`state` enum('new','paid','sent') NOT NULL DEFAULT 'new'",
    "`price` decimal(10,2) NOT NULL DEFAULT 0.00",
    "`note` text",
    "`seen_at` datetime(3) DEFAULT NULL",
    "`made_at` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP",
    "`flags` int NOT NULL DEFAULT 0",
    "`payload` json DEFAULT NULL",
)


def tables(numbers: Sequence[int]) -> Iterator[str]:
    """Return what makes these tables: every third refers to its neighbour, some have more indexes."""
    for number in numbers:
        lines = ["`id` bigint unsigned NOT NULL AUTO_INCREMENT", *COLUMNS[: 4 + number % 6]]
        lines += ["PRIMARY KEY (`id`)", "KEY `by_email` (`email`,`state`)"]
        if number % 3 == 1:
            lines.append(
                f"CONSTRAINT `fk_{number}` FOREIGN KEY (`customer`) REFERENCES `table_{number - 1}` (`id`)"
            )
        if number % 4 == 0:
            lines.append("UNIQUE KEY `once` (`customer`,`email`)")
        yield f"CREATE TABLE `table_{number}` ({', '.join(lines)})"


def programs(count: int) -> Iterator[str]:
    """Return what makes views, triggers and procedures for so many tables."""
    for number in range(0, count, 50):
        yield f"CREATE VIEW `view_{number}` AS SELECT `id`, `email` FROM `table_{number}`"
        yield (
            f"CREATE TRIGGER `trigger_{number}` BEFORE INSERT ON `table_{number}` "
            "FOR EACH ROW SET NEW.`email` = LOWER(NEW.`email`)"
        )
        yield f"CREATE PROCEDURE `procedure_{number}`() SELECT COUNT(*) FROM `table_{number}`"


async def make(server: Server, database: str, count: int) -> None:
    """Make a database with so many tables, on several connections."""

    async def load(numbers: range) -> None:
        async with await Connection.open(server, database=database) as connection:
            for statement in tables(numbers):
                await connection.execute(statement)

    async with await Connection.open(server) as connection:
        await connection.execute(f"CREATE DATABASE {quote_name(database)}")
        # A table and the one that it refers to are in one share.
        share = (count // LOADERS // 3 + 1) * 3
        async with asyncio.TaskGroup() as group:
            for start in range(0, count, share):
                group.create_task(load(range(start, min(start + share, count))))
        await connection.execute(f"USE {quote_name(database)}")
        for statement in programs(count):
            await connection.execute(statement)


async def change(connection: Connection, number: int) -> None:
    """Add a column of this number to five tables of the connection's default database."""
    for table in range(CHANGED):
        await connection.execute(
            f"ALTER TABLE table_{table * 7} ADD COLUMN added_{number} varchar(40) DEFAULT NULL"
        )


def changed(schema: Schema) -> Schema:
    """Return the schema with another definition of five tables."""
    found = dict(schema.tables)
    for name in list(found)[:CHANGED]:
        table = found[name]
        column = replace(table.columns[-1], name="added", comment="'added'")
        found[name] = replace(table, columns=(*table.columns, column))
    return replace(schema, tables=found)
