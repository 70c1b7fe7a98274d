"""What I cut, compared with what the servers run one after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pymysql
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymysql.constants import CLIENT

from router.classify import HEAD_BYTES, Kind, classify
from router.servers.process import LocalServer
from router.split import PARTS_MAX, SPLIT_BYTES_MAX, split

MODES = {
    "": (False, False),
    "NO_BACKSLASH_ESCAPES": (True, False),
    "ANSI_QUOTES": (False, True),
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES": (True, True),
}


def parts_of(text: str | bytes, mode: str = "", charset: str = "utf8mb4") -> list[bytes] | None:
    raw = text.encode() if isinstance(text, str) else text
    no_backslash, ansi_quotes = MODES[mode]
    return split(raw, no_backslash=no_backslash, ansi_quotes=ansi_quotes, charset=charset)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1 ; \n;", ["SELECT 1"]),
        ("SELECT 1; SELECT 2", ["SELECT 1", " SELECT 2"]),
        ("SELECT ';' ; SELECT \";\" ; SELECT 1 AS `;`", ["SELECT ';' ", ' SELECT ";" ', " SELECT 1 AS `;`"]),
        ("SELECT 'a'';' ; SELECT 2", ["SELECT 'a'';' ", " SELECT 2"]),
        ("SELECT 'a\\';' ; SELECT 2", ["SELECT 'a\\';' ", " SELECT 2"]),
        ("SELECT 1 /* ; */; # ;\nSELECT 2 -- ;", ["SELECT 1 /* ; */", " # ;\nSELECT 2 --"]),
        ("SELECT /*! 1 */; DROP TABLE t", ["SELECT /*! 1 */", " DROP TABLE t"]),
        ("SELECT /*!99999 ';' */ 1; SELECT 2", ["SELECT /*!99999 ';' */ 1", " SELECT 2"]),
        ("", [""]),
        (";;", [""]),
        ("SELECT 1;;SELECT 2", ["SELECT 1", "", "SELECT 2"]),
        ("INSERT t VALUES ('é'); SELECT 'ü'", ["INSERT t VALUES ('é')", " SELECT 'ü'"]),
        ("SET NAMES utf8mb4; SELECT 'é'", ["SET NAMES utf8mb4", " SELECT 'é'"]),
        ("KILL 1; SELECT 2", ["KILL 1", " SELECT 2"]),
        ("CREATE TABLE t (a INT); DROP TABLE t", ["CREATE TABLE t (a INT)", " DROP TABLE t"]),
    ],
)
def test_statements_are_cut_where_they_end(text: str, parts: list[str]) -> None:
    assert parts_of(text) == [part.encode() for part in parts]


def test_the_mode_says_what_a_backslash_is() -> None:
    text = "SELECT 'a\\'; SELECT 'b"
    assert parts_of(text + "'") is None  # the quotation does not end
    assert parts_of(text + "'", "NO_BACKSLASH_ESCAPES") == [b"SELECT 'a\\'", b" SELECT 'b'"]
    text = 'SELECT "a\\"; SELECT "b"'
    assert parts_of(text) is None
    assert parts_of(text, "ANSI_QUOTES") == [b'SELECT "a\\"', b' SELECT "b"']


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a; SELECT 2",
        'SELECT "a; SELECT 2',
        "SELECT `a; SELECT 2",
        "SELECT 1; /* SELECT 2",
        "SELECT 1; */ SELECT 2",
        "/*! SELECT 1; SELECT 2 */",
        "/*!99999 ' */; SELECT 2 -- '",
        "/*! /* */ ; SELECT 2 */",
        "/*! # */ ; SELECT 2",
        "/*! SELECT 1 /*/; SELECT 2",
        "SELECT /*+ x(`;*/`) */ 1; SELECT 2",
        "SELECT 1 --\x7f ;\n; SELECT 2",
        "SELECT 1 -- x\0; SELECT 2",
        "SELECT 1\0; SELECT 2",
        "SELECT $$;$$; SELECT 2",
        "DELIMITER // SELECT 1; SELECT 2//",
        "BEGIN NOT ATOMIC SELECT 1; END",
        "BEGIN; SELECT 1; END",
        "IF 1 THEN SELECT 1; END IF",
        "x: LOOP SELECT 1; END LOOP",
        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
        "CREATE DEFINER=a@b /* x */ TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END",
        "SELECT 1; ALTER EVENT e DO BEGIN SELECT 1; SELECT 2; END",
        'SET sql_mode = ANSI_QUOTES; SELECT "\\"; SELECT 1 -- "',
        "CALL p(); SELECT '\\';'",
        "SET NAMES gbk; SELECT 1 AS `é`",
    ],
)
def test_nothing_is_cut_when_it_is_unsure(text: str) -> None:
    assert parts_of(text) is None


@pytest.mark.parametrize(
    "charset",
    ["gbk", "gb18030", "gb2312", "big5", "sjis", "cp932", "euckr", "ujis", "eucjpms", "swe7", "ucs2", "x"],
)
def test_nothing_is_cut_in_character_sets_where_quotes_can_hide(charset: str) -> None:
    assert parts_of("SELECT 1; SELECT 2", charset=charset) is None


def test_nothing_is_cut_that_is_not_in_its_character_set() -> None:
    assert parts_of(b"SELECT '\xe9'; SELECT 2") is None
    assert parts_of(b"SELECT '\xe9'; SELECT 2", charset="latin1") == [b"SELECT '\xe9'", b" SELECT 2"]


def test_very_long_texts_and_very_many_statements_are_not_cut() -> None:
    assert parts_of("SELECT 1;" + " " * (SPLIT_BYTES_MAX - 10) + ";") is not None
    assert parts_of("SELECT 1;" + " " * SPLIT_BYTES_MAX + ";") is None
    assert parts_of("DO 1;" * PARTS_MAX) is not None
    assert parts_of("DO 1;" * (PARTS_MAX + 1)) is None


@pytest.mark.parametrize("piece", ["a,", "a;", "-", "1 ", "'a'", "/", "`a`", "/**/", "/*!*/"])
def test_a_long_text_does_not_keep_a_worker_busy(piece: str) -> None:
    text = "SELECT 1;" + piece * ((SPLIT_BYTES_MAX - 10) // len(piece))
    began = time.process_time()
    parts_of(text)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("part", ["SET a=1;", "/*!1*//*!2*//*!3*//*!4*/" + "/**/" * 150 + "SET a=1;"])
def test_many_parts_do_not_keep_a_worker_busy(part: str) -> None:
    began = time.process_time()
    parts_of(part * min(PARTS_MAX, 200_000 // len(part)))
    assert time.process_time() - began < 1.0


@given(st.binary(max_size=100), st.sampled_from(sorted(MODES)), st.sampled_from(["utf8mb4", "latin1"]))
def test_parts_and_semicolons_are_the_whole_text(text: bytes, mode: str, charset: str) -> None:
    parts = parts_of(text, mode, charset)
    assert parts is None or b";".join(parts) == text.rstrip(b"; \t\n\v\f\r")


_PIECES = (
    *("1", "'a'", "';'", "''", "''''", "'\\''", "'\\\\'", "'\\'", '"a"', '";"', '""""', '"\\""', '"\\"'),
    *("'`'", "'\"'", '"\'"', "`b;`", "`b``;`", "AS", "x'41'", "N'n;'", "_utf8mb4'u;'", "+", "-", "--1", "!"),
    *("/* ; */", "/*;'*/", "/**/", "-- ;\n", "-- '\n", '#;"\n', "--\t;\n", "/*!50000 1*/", "/*!999999 1*/"),
    *("/*!50000 ';' */", "/*!999999 ';' */", "/*M!100000 , 1 */", "/*M! ';' */", "/*! ;*/", "/*!'*/"),
    *("/*+ ; */", "é", "'é'", "`é`", "@`;`", "@a", "\\N", "(", ")", ",", "\n", "$", ".", "*/", "/*", "/*!"),
)
_STATEMENT = st.builds(
    lambda start, pieces: start + " ".join(pieces),
    st.sampled_from(
        ["SELECT ", "SELECT 1, ", "SELECT /*a;*/ ", "DO ", "SET @a = ", "", "(SELECT ", "COMMIT "]
    ),
    st.lists(st.sampled_from(_PIECES), max_size=4),
)
_TEXT = st.lists(_STATEMENT, min_size=1, max_size=4).map(";".join)

Answer = tuple[object, ...] | int


class Session:
    """A connection that runs text of several statements and shows every answer; an error as its number."""

    def __init__(self, server: LocalServer) -> None:
        address, account = server.server.address, server.server.account
        self._connection = pymysql.connect(
            unix_socket=address.socket,
            user=account.user,
            password=account.password,
            client_flag=CLIENT.MULTI_STATEMENTS,
            charset="utf8mb4",
            autocommit=True,
        )

    def run(self, text: bytes) -> list[Answer]:
        connection, answers = self._connection, list[Answer]()
        try:
            connection.query(text)
            answers.append(connection._result.rows or ())
            while connection._result.has_next:
                connection.next_result()
                answers.append(connection._result.rows or ())
        except pymysql.err.MySQLError as error:
            # Nothing at all is an error of its own, unless a semicolon comes behind it.
            answers.append(1064 if error.args[0] == 1065 else int(error.args[0]))
        return answers

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def session(server: LocalServer) -> Iterator[Session]:
    with contextlib.closing(Session(server)) as session:
        yield session


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=_TEXT, mode=st.sampled_from(sorted(MODES)))
def test_servers_run_the_same_statements_together_and_one_by_one(
    session: Session, text: str, mode: str
) -> None:
    parts = parts_of(text, mode)
    event("unsure" if parts is None else f"{len(parts)} parts")
    if parts is None:
        return
    session.run(f"SET @a = NULL, sql_mode = '{mode}'".encode())
    together = session.run(text.encode())
    session.run(f"SET @a = NULL, sql_mode = '{mode}'".encode())
    one_by_one = list[Answer]()
    for part in parts:
        # Nothing but a comment is a statement only at the end.
        empty = part is not parts[-1] and classify(part) is Kind.EMPTY
        one_by_one += [1064] if empty else session.run(part)
        if isinstance(one_by_one[-1], int):
            break
    assert together == one_by_one


def test_a_long_text_of_statements_is_cut_as_the_server_does(session: Session) -> None:
    text = b"SELECT 1;" * (HEAD_BYTES // 8)
    assert len(session.run(text)) == len(parts_of(text) or ())
