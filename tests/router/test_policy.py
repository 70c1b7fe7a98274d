from __future__ import annotations

from dataclasses import replace

import pytest

from router.classify import KIND_OF_START, Kind, classify
from router.model import Account, Branch, Role
from router.policy import (
    REFUSED_WHEN_SAFE,
    allowed_starts,
    is_exempt,
    is_guarded,
    refusal,
    refusal_code,
    refused_kinds,
)

MAIN = Branch("shop", "main", "shop", production=True, safe_migrations=True, sleepable=False)
OPEN = Branch("shop", "dev", "shop", production=False, safe_migrations=False, sleepable=True)


def test_a_safe_branch_refuses_what_is_not_known_to_be_harmless() -> None:
    assert refused_kinds(MAIN) == {Kind.DDL, Kind.ADMIN, Kind.DYNAMIC, Kind.UNKNOWN, Kind.KILL}


def test_statements_that_are_not_looked_at_twice_are_refused_nowhere() -> None:
    assert not set(KIND_OF_START.values()) & REFUSED_WHEN_SAFE
    assert all(classify(start) is kind for start, kind in KIND_OF_START.items())


def test_an_open_branch_refuses_nothing_but_numbers_that_the_server_would_misunderstand() -> None:
    assert refused_kinds(OPEN) == {Kind.KILL}


@pytest.mark.parametrize("branch", [MAIN, OPEN])
def test_an_administrator_is_refused_what_everybody_is(branch: Branch) -> None:
    assert (
        refused_kinds(branch, Role.ADMIN) == refused_kinds(branch) == refused_kinds(branch, Role.READWRITER)
    )


@pytest.mark.parametrize("branch", [MAIN, OPEN])
def test_a_reader_writes_nothing(branch: Branch) -> None:
    refused = refused_kinds(branch, Role.READER)
    assert {
        Kind.WRITE,
        Kind.TEMPORARY,
        Kind.DDL,
        Kind.ADMIN,
        Kind.DYNAMIC,
        Kind.UNKNOWN,
        Kind.CALL,
    } <= refused
    assert not refused & {Kind.READ, Kind.SET, Kind.SESSION, Kind.TRANSACTION, Kind.COMMAND}
    assert set(allowed_starts(refused).values()) == {Kind.READ}


def test_what_a_reader_may_call_is_for_its_account_to_say() -> None:
    own = replace(MAIN, accounts={Role.READER: Account("headgate_reader")})
    assert Kind.CALL not in refused_kinds(own, Role.READER)


@pytest.mark.parametrize("branch", [MAIN, OPEN])
def test_a_writer_writes_and_reads_no_tables(branch: Branch) -> None:
    refused = refused_kinds(branch, Role.WRITER)
    assert not refused & {Kind.WRITE, Kind.TRANSACTION, Kind.SET, Kind.CALL, Kind.TEMPORARY}
    assert Kind.READ in refused
    assert set(allowed_starts(refused).values()) == {Kind.WRITE}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (b"SELECT @@version_comment LIMIT 1", True),
        (b"SELECT LAST_INSERT_ID() FROM DUAL", True),
        (b"/* driver */ SELECT @@session.auto_increment_increment AS a", True),
        (b"SHOW WARNINGS", True),
        (b"SHOW COLUMNS FROM t", True),
        (b"EXPLAIN SELECT * FROM t", True),
        (b"DO SLEEP(0)", True),
        (b"SELECT * FROM t", False),
        (b"SELECT*FROM`t`", False),
        (b"SELECT/**/a\nfrom/**/t", False),
        (b"SELECT 1 FROM DUAL, t", False),
        (b"SELECT (TABLE t)", False),
        (b"TABLE t", False),
        (b"WITH x AS (SELECT * FROM t) SELECT * FROM x", False),
        (b"HANDLER t READ FIRST", False),
        (b"CHECKSUM TABLE t", False),
        (b"SELECT a /*!50000FROM t*/", False),
        (b"SELECT a, 1e0FROM t", False),
        (b"SELECT a FROM\xa0t", False),
        (b"SHOW TABLES WHERE LENGTH(Tables_in_shop) > 3", True),
        (b"SHOW STATUS WHERE (SELECT a FROM t LIMIT 1) = 42", False),
        (b"SHOW STATUS WHERE (/*!50000TABLE*/ t) = 42", False),
    ],
)
def test_a_writer_may_ask_for_what_drivers_ask(text: bytes, taken: bool) -> None:
    assert is_exempt(Role.WRITER, Kind.READ, text) is taken
    assert not is_exempt(Role.REPLICATION, Kind.READ, text)


def test_nothing_else_is_exempt() -> None:
    others = [kind for kind in Kind if kind not in (Kind.READ, Kind.PREPARED)]
    assert not any(is_exempt(role, kind, b"SELECT 1") for role in Role for kind in others)


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        (b"EXECUTE s", {Role.READER, Role.WRITER}),
        (b"DEALLOCATE PREPARE s", {Role.READER, Role.WRITER}),
        (b"PREPARE s FROM 'SELECT @@sql_mode' ;", {Role.READER, Role.WRITER}),
        (rb"PREPARE s FROM 'SELECT \'\', a FROM t'", {Role.READER}),
        (b"PREPARE s FROM 'SELECT ''x'', a FROM t'", {Role.READER}),
        (b"PREPARE s FROM 'SELECT a ' 'FROM t'", {Role.READER}),
        (b"PREPARE s FROM 'SELECT * FROM t'", {Role.READER}),
        (b"PREPARE s FROM 'SELECT @@sql_mode'", {Role.READER, Role.WRITER}),
        (b"PREPARE s FROM 'DELETE FROM t'", {Role.WRITER}),
        (b'prepare s from "call p()"', {Role.WRITER}),
        (b"PREPARE s FROM 'WITH x AS (SELECT 1) DELETE FROM t'", {Role.WRITER}),
    ],
)
def test_what_is_prepared_must_be_for_the_role(text: bytes, roles: set[Role]) -> None:
    assert classify(text) is Kind.PREPARED
    assert {role for role in (Role.READER, Role.WRITER) if is_exempt(role, Kind.PREPARED, text)} == roles


@pytest.mark.parametrize("branch", [MAIN, OPEN])
def test_who_replicates_asks_for_variables_and_the_log_and_nothing_else(branch: Branch) -> None:
    left = set(Kind) - refused_kinds(branch, Role.REPLICATION)
    assert left == {Kind.READ, Kind.SET, Kind.COMMAND, Kind.EMPTY}


def test_only_who_may_do_everything_is_not_looked_at_statement_by_statement() -> None:
    assert all(is_guarded(MAIN, role) for role in Role)
    assert [role for role in Role if not is_guarded(OPEN, role)] == [Role.READWRITER, Role.ADMIN]


def test_a_role_is_refused_as_a_server_refuses_a_missing_right() -> None:
    text = refusal(MAIN, Kind.WRITE, "INSERT", Role.READER)
    assert text == (
        'INSERT command denied on branch "main" of "shop": the password\'s role is reader; '
        "make one with another role"
    )
    assert refusal_code(MAIN, Kind.WRITE) == (1142, "42000")
    assert refusal_code(MAIN, Kind.DDL) == (1105, "HY000")
    assert refusal_code(OPEN, Kind.DDL) == (1142, "42000")
    assert "direct DDL" in refusal(MAIN, Kind.DDL, "DROP TABLE", Role.READER)


def test_refused_ddl_is_told_with_the_command_to_run_instead() -> None:
    text = refusal(MAIN, Kind.DDL, "ALTER TABLE")
    assert text.startswith('direct DDL is disabled on branch "main" of "shop" (safe migrations)')
    assert text.endswith("headgate branch create shop my-change")


@pytest.mark.parametrize("kind", sorted(REFUSED_WHEN_SAFE))
def test_a_refusal_names_the_branch_and_fits_an_error_packet(kind: Kind) -> None:
    long = Branch("d" * 63, "b" * 63, "shop", production=True, safe_migrations=True, sleepable=False)
    text = refusal(long, kind, "OPTIMIZE TABLE")
    assert "b" * 63 in text
    assert len(text.encode()) <= 512
