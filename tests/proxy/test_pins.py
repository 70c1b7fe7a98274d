from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pins import LongText, PinReason, asks_about_last, explains, is_plain, leaves_behind, soils
from router.classify import Kind, classify

LEAVING = {
    "SELECT GET_LOCK('a', 1)": PinReason.NAMED_LOCK,
    "DO `get_lock` ('a', 1)": PinReason.NAMED_LOCK,
    "SELECT service_get_write_locks('a', 'b', 1)": PinReason.STATE,
    "SELECT version_tokens_lock_shared('a', 1)": PinReason.STATE,
    "INSERT INTO t SELECT GET_LOCK('a', 1)": PinReason.NAMED_LOCK,
    "SELECT @a := 1": PinReason.USER_VARIABLE,
    "SELECT 1 INTO @a": PinReason.USER_VARIABLE,
    "SELECT 1 INTO\n\t @a": PinReason.USER_VARIABLE,
    "SELECT 1 INTO /* x */ @a": PinReason.USER_VARIABLE,
    "SELECT 1 INTO/*!50000 @a*/": PinReason.USER_VARIABLE,
    "SELECT 1 INTO -- x\n @a": PinReason.USER_VARIABLE,
    "EXPLAIN FORMAT=JSON INTO @a SELECT 1": PinReason.USER_VARIABLE,
    "TABLE t LIMIT 1 INTO @a": PinReason.USER_VARIABLE,
    "SET @a = 1": PinReason.USER_VARIABLE,
    "SET time_zone = '+00:00', @a = 1": PinReason.USER_VARIABLE,
    "/* x */ SET @a = 1": PinReason.USER_VARIABLE,
    "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='' */": PinReason.USER_VARIABLE,
    "CALL p(@a)": PinReason.USER_VARIABLE,
    "LOAD DATA INFILE 'x' INTO TABLE t (@a) SET b = @a": PinReason.USER_VARIABLE,
    "GET DIAGNOSTICS @a = NUMBER": PinReason.USER_VARIABLE,
    "CREATE TEMPORARY TABLE t (a INT)": PinReason.TEMPORARY_TABLE,
    "CREATE OR REPLACE TEMPORARY TABLE t SELECT 1 AS a": PinReason.TEMPORARY_TABLE,
    "CREATE /*!40000 TEMPORARY */ TABLE t (a INT)": PinReason.TEMPORARY_TABLE,
    "HANDLER t OPEN": PinReason.HANDLER,
    "handler t open as x": PinReason.HANDLER,
    "PREPARE s FROM 'SELECT 1'": PinReason.PREPARED,
    "XA START 'a'": PinReason.XA,
    "XA BEGIN 'a'": PinReason.XA,
    "SAVEPOINT a": PinReason.SAVEPOINT,
    "FLUSH TABLES WITH READ LOCK": PinReason.GLOBAL_LOCK,
    "FLUSH TABLES t FOR EXPORT": PinReason.GLOBAL_LOCK,
    "LOCK INSTANCE FOR BACKUP": PinReason.GLOBAL_LOCK,
    "BACKUP STAGE START": PinReason.GLOBAL_LOCK,
    "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1": PinReason.FOUND_ROWS,
    "SELECT LAST_INSERT_ID(5)": PinReason.LAST_INSERT_ID,
    "SELECT NEXT VALUE FOR s": PinReason.SEQUENCE,
    "SELECT NEXTVAL(s)": PinReason.SEQUENCE,
    "SELECT s.nextval": PinReason.SEQUENCE,
    "SET ROLE r": PinReason.ROLE,
    "/*!80000 SET ROLE r */": PinReason.ROLE,
    "SET RESOURCE GROUP g": PinReason.ROLE,
    "EXECUTE IMMEDIATE 'SELECT 1'": PinReason.STATEMENT,
    "SET STATEMENT max_statement_time = 1 FOR SELECT 1": PinReason.STATEMENT,
    "BINLOG 'x'": PinReason.STATEMENT,
}

LEAVING_NOTHING = (
    "SELECT c FROM t WHERE id = 1",
    "SELECT COUNT(*), MAX(a) FROM t WHERE email = 'a@example.com'",
    "INSERT INTO users (email) VALUES ('a@example.com')",
    "UPDATE s SET id = LAST_INSERT_ID(id + 1)",
    "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
    "SELECT LAST_INSERT_ID()",
    "SELECT is_locked FROM t",
    "SELECT @@session.sql_mode",
    "SELECT @a",
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET SESSION sql_mode = 'ANSI', @@time_zone = '+00:00'",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "BEGIN",
    "COMMIT",
    "RELEASE SAVEPOINT a",
    "XA RECOVER",
    "XA COMMIT 'a'",
    "CREATE TABLE t (a INT)",
    "DROP TEMPORARY TABLE t",
    "HANDLER t READ FIRST",
    "FLUSH STATUS",
    "LOCK TABLES t WRITE",
    "USE shop",
    "CALL p(1)",
    "SHOW TABLES",
)

ASKING = (
    "SELECT LAST_INSERT_ID()",
    "SELECT @@identity",
    "SELECT @@last_insert_id",
    "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()",
    "SHOW WARNINGS",
    "show count(*) errors",
    "GET DIAGNOSTICS @a = NUMBER",
    "SELECT @@warning_count",
    "SELECT @@session.error_count",
    "SELECT PREVIOUS VALUE FOR s",
    "SELECT LASTVAL(s)",
)


@pytest.mark.parametrize(("sql", "reason"), LEAVING.items())
def test_what_stays_behind_is_found(sql: str, reason: PinReason) -> None:
    for text in (sql.encode(), sql.upper().encode(), sql.lower().encode()):
        assert leaves_behind(classify(text), text) is reason
        assert leaves_behind(classify(text), b"\x03" + text, 1) is reason


@pytest.mark.parametrize("sql", LEAVING_NOTHING)
def test_most_statements_leave_nothing_behind(sql: str) -> None:
    text = sql.encode()
    assert leaves_behind(classify(text), text) is None


@pytest.mark.parametrize("sql", ASKING)
def test_questions_about_the_last_statement_are_found(sql: str) -> None:
    assert asks_about_last(sql.encode())
    assert asks_about_last(b"\x03" + sql.lower().encode(), 1)


def test_other_questions_are_not_about_the_last_statement() -> None:
    for sql in ("SELECT 1", "SHOW TABLES", "INSERT INTO t VALUES (1)", "SELECT @@sql_mode"):
        assert not asks_about_last(sql.encode())


_ORDINARY = [sql for sql in (*LEAVING, *ASKING) if sql[:6] in ("SELECT", "INSERT", "UPDATE", "DELETE")]


@pytest.mark.parametrize("sql", _ORDINARY)
def test_what_matters_is_never_plain(sql: str) -> None:
    assert not is_plain(sql.encode())
    assert not is_plain(sql.lower().encode())


def test_point_selects_are_plain() -> None:
    assert is_plain(b"SELECT c FROM sbtest1 WHERE id=5021")
    assert is_plain(b"UPDATE t SET a = a + 1 WHERE id = 1")


_gaps = st.sampled_from([b" ", b"\n", b"\t ", b"  \r\n", b" /* x */ ", b" -- x\n", b"/**/"])
_cases = st.sampled_from([bytes.upper, bytes.lower, bytes.title])
_stateful = st.sampled_from(
    [
        [b"GET_LOCK", b"('a',1)"],
        [b"`get_lock`", b"('a',1)"],
        [b"@a", b":=", b"1"],
        [b"1", b"INTO", b"@a"],
        [b"SQL_CALC_FOUND_ROWS", b"1"],
        [b"NEXTVAL(s)"],
        [b"@`a b`", b":=", b"1"],
        [b"SERVICE_GET_READ_LOCKS", b"('a','b',1)"],
    ]
)


@given(st.data(), _stateful, st.binary(max_size=30), st.binary(max_size=30))
def test_what_stays_behind_is_found_wherever_it_stands(
    data: st.DataObject, words: list[bytes], before: bytes, after: bytes
) -> None:
    text = b"SELECT '" + before + b"'," + data.draw(_gaps)
    for word in words:
        text += data.draw(_cases)(word) + data.draw(_gaps)
    text += after
    assert leaves_behind(Kind.READ, text)
    assert not is_plain(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    long = LongText(Kind.READ)
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        long.feed(text[start:end])
    assert long.reason


@given(st.sampled_from(ASKING), st.integers(0, 200), st.binary(max_size=80))
def test_questions_are_found_in_pieces(sql: str, cut: int, before: bytes) -> None:
    text = b"SELECT /*" + before + b"*/ (" + sql.encode() + b")"
    cut %= len(text)
    long = LongText(Kind.READ)
    long.feed(text[:cut])
    long.feed(text[cut:])
    assert long.asks


def test_a_variable_may_come_long_after_its_into() -> None:
    for gap in (b" " * 1000, b" " * 63, b"\n"):
        for size in (1, 7, 64, 500):
            text = b"SELECT 1 INTO" + gap + b"@a"
            long = LongText(Kind.READ)
            for at in range(0, len(text), size):
                long.feed(text[at : at + size])
            assert long.reason is PinReason.USER_VARIABLE


def test_a_long_statement_is_known_by_its_beginning_too() -> None:
    for sql in ("CALL p(@a)", "SET @a = '", "PREPARE s FROM '"):
        long = LongText(classify(sql.encode()))
        long.feed(sql.encode())
        long.feed(b"x" * 100)
        assert long.reason


@pytest.mark.parametrize(
    "sql",
    [
        "SET NAMES utf8mb4",
        "set time_zone = '+00:00'",
        "SET @@SESSION.sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), ',NO_ZERO_DATE')",
        "SET SESSION sql_mode = (1)",
        "USE shop",
    ],
)
def test_some_statements_explain_all_they_change(sql: str) -> None:
    assert explains(sql.encode())


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CALL p()",
        "SET time_zone = f()",
        "SET time_zone = shop.concat('a')",
        "SET time_zone = concat ('a')",
        "SET time_zone = `concat`('a')",
        "SET time_zone = (SELECT a FROM v)",
        "SET time_zone = '+00:00', @a = 1",
        "SETTING",
    ],
)
def test_others_may_have_changed_more(sql: str) -> None:
    assert not explains(sql.encode())


def test_a_routine_soils_its_backend() -> None:
    assert soils(Kind.CALL)
    assert not soils(Kind.READ)


def test_a_command_without_text_leaves_nothing_behind() -> None:
    assert leaves_behind(Kind.COMMAND, b"GET_LOCK(") is None


@pytest.mark.parametrize(
    "piece", ["set", "set ", "@@a", "@@ ", "a", "a ", " ", "next ", "into ", "last_insert_id(", "("]
)
@pytest.mark.parametrize("begin", ["SET x=", "SELECT @", ""])
def test_no_text_keeps_a_worker_busy(begin: str, piece: str) -> None:
    text = (begin + piece * (100_000 // len(piece))).encode()
    began = time.process_time()
    leaves_behind(classify(text), text, mariadb=True)
    asks_about_last(text)
    explains(text)
    assert time.process_time() - began < 1.0
