from __future__ import annotations

import random
from dataclasses import replace

import pytest

from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.lint import concerning, lint, rules
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Schema, Table
from migrator.schema.parse import parse_create
from router.model import Flavor, Server
from router.servers.process import LocalServer
from tests.migrator.schema.lint.case import Case
from tests.migrator.schema.lint.change_cases import CHANGE_CASES
from tests.migrator.schema.lint.schema_cases import SCHEMA_CASES

CASES = [*SCHEMA_CASES, *CHANGE_CASES]
ON_SERVERS = [(flavor, case) for flavor in Flavor for case in CASES if case.only in (None, flavor)]


async def schemas(server: Server, database: str, case: Case) -> tuple[Schema, Schema]:
    """Return what is on production and what the branch makes of it."""
    found = []
    async with await open_reader(server) as connection:
        for statements in (case.before, case.after):
            await connection.execute(f"USE `{database}`")
            for statement in statements:
                await connection.execute(statement)
            found.append(await read_schema(connection, database))
            await connection.execute("SET foreign_key_checks = 1")
    return found[0], found[1]


def subject_of(case: Case, before: Schema, after: Schema) -> Subject:
    return Subject(
        before,
        after,
        diff(before, after, case.renames).operations,
        facts=case.facts,
        settings=case.settings,
        allow_foreign_keys=case.allow_foreign_keys,
        renames=case.renames,
    )


def shown(finding: Finding) -> str:
    return f"{finding.level} {finding.subject} {finding.element}".rstrip() + ("" if finding.subject else " ")


@pytest.mark.parametrize(
    ("server", "case"),
    ON_SERVERS,
    indirect=["server"],
    ids=[f"{flavor}-{case.name}" for flavor, case in ON_SERVERS],
)
async def test_a_rule_finds_what_it_is_for(server: LocalServer, database: str, case: Case) -> None:
    before, after = await schemas(server.server, database, case)
    subject = subject_of(case, before, after)
    found = [finding for finding in lint(subject) if finding.code == case.code]
    assert sorted(map(shown, found)) == sorted(case.expected), found
    mixed = subject_of(case, shuffled(before), shuffled(after))
    assert lint(mixed) == lint(subject)
    if subject.operations:
        near = replace(subject, whole=False)
        assert concerning(lint(near), near) == concerning(lint(subject), subject)


def shuffled(schema: Schema) -> Schema:
    """The same schema with everything in another order whose order means nothing."""
    chance = random.Random(7)
    tables: list[Table] = []
    for table in schema.tables.values():
        indexes, keys, checks = list(table.indexes), list(table.foreign_keys), list(table.checks)
        for part in (indexes, keys, checks):
            chance.shuffle(part)
        mixed = replace(table, indexes=tuple(indexes), foreign_keys=tuple(keys), checks=tuple(checks))
        tables.append(mixed)
    chance.shuffle(tables)
    code = list(schema.code)
    chance.shuffle(code)
    return replace(schema, tables={table.name: table for table in tables}, code=tuple(code))


# --- what servers refuse or repair by themselves: definitions as they would print them -------------------


def schema_of(*texts: str) -> Schema:
    tables = [parse_create(text, Flavor.MYSQL) for text in texts]
    return Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci", {table.name: table for table in tables})


TAIL = ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"
P = "CREATE TABLE `p` (\n  `id` bigint NOT NULL,\n  `n` int DEFAULT NULL,\n  PRIMARY KEY (`id`)\n" + TAIL
C = (
    "CREATE TABLE `c` (\n  `id` int NOT NULL,\n  `x` int DEFAULT NULL,\n  PRIMARY KEY (`id`),\n"
    "  KEY `k` (`x`),\n  CONSTRAINT `f` FOREIGN KEY (`x`) REFERENCES `p` (`{}`)\n" + TAIL
)
E = (
    "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `e` enum('a','A') DEFAULT NULL,\n  PRIMARY KEY (`id`)\n"
    + TAIL
)
G = (
    "CREATE TABLE `t` (\n  `id` int NOT NULL,\n{}  `g` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL,\n"
    "  PRIMARY KEY (`id`)\n" + TAIL
)
REFUSED = {
    "FOREIGN_KEYS_UNRESOLVED, another type": ([P], [P, C.format("id")], ["error c foreign key x"]),
    "FOREIGN_KEYS_UNRESOLVED, no index": ([P], [P, C.format("n")], ["error c foreign key x"]),
    "FOREIGN_KEYS_UNRESOLVED, no column": ([P], [P, C.format("m")], ["error c foreign key x"]),
    "DUPLICATE_ENUM_VALUE": ([], [E], ["error t column e"]),
    "FK_PARENT_CHANGED": (
        [P.replace("bigint", "int"), C.format("id")],
        [P, C.format("id")],
        ["error p column id"],
    ),
    "GENERATED_DEP": ([G.format("  `a` int DEFAULT NULL,\n")], [G.format("")], ["error t column g"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_server_would_refuse_is_found_without_it(case: str) -> None:
    before, after, expected = REFUSED[case]
    found = lint(Subject(schema_of(*before), schema_of(*after)))
    assert [shown(each) for each in found if each.code == case.partition(",")[0]] == expected


def test_every_rule_has_a_case_that_it_finds() -> None:
    known = {case.code for case in CASES if case.expected} | {name.partition(",")[0] for name in REFUSED}
    assert {rule.code for rule in rules()} == known
