from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fingerprint import TEXT_BYTES_MAX, definition_of, shape_of
from router.tokens import Quoting

USUAL = Quoting()


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        ("SELECT c FROM t WHERE id=12345", "SELECT c FROM t WHERE id = ?"),
        ("SELECT c FROM t WHERE id = -0x1F", "SELECT c FROM t WHERE id = ?"),
        ("SELECT c FROM t WHERE id = ?", "SELECT c FROM t WHERE id = ?"),
        ("select *\nfrom t where a in (1,2, -3)", "select * from t where a in (?)"),
        ("SELECT /* ssn 1 */ a -- bye\n FROM t # x", "SELECT a FROM t"),
        ("SELECT a FROM t WHERE s = 'it''s' 'more'", "SELECT a FROM t WHERE s = ?"),
        (
            "INSERT INTO t (a,b)VALUES(1,'x'),(2,'y'),(DEFAULT,NULL) ON DUPLICATE KEY UPDATE b=VALUES(b)",
            "INSERT INTO t (a, b) VALUES (?, ?) ON DUPLICATE KEY UPDATE b = VALUES (b)",
        ),
        ("SELECT a FROM t WHERE (x,y) IN ((1,2),(3,4))", "SELECT a FROM t WHERE (x, y) IN ((?, ?))"),
        ("SELECT COUNT(*), t.*, @x:=5, @@version FROM t", "SELECT COUNT(*), t.*, @x := ?, @@version FROM t"),
        ("SELECT a--1 FROM t", "SELECT a - - ? FROM t"),
        (
            "UPDATE t SET a = _utf8mb4'x', b = X'ff', c = N'x' LIMIT 3",
            "UPDATE t SET a = ?, b = ?, c = ? LIMIT ?",
        ),
        ("SELECT 1 /*!50000 + a */ FROM t;", "SELECT ? + a FROM t"),
        ("CALL p(1, 'x')", "CALL p(?, ?)"),
    ],
)
def test_values_and_comments_go_and_one_spelling_stays(statement: str, shape: str) -> None:
    assert shape_of(statement.encode(), USUAL) == shape


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        ("SELECT CAST(a AS CHAR(10)) FROM t", "SELECT CAST(a AS CHAR(1)) FROM t"),
        ("SELECT CONVERT(a, DECIMAL(10,2)) FROM t", "SELECT CONVERT(a, DECIMAL(1, 1)) FROM t"),
        ("SELECT GROUP_CONCAT(a SEPARATOR '; ') FROM t", "SELECT GROUP_CONCAT(a SEPARATOR ',') FROM t"),
        ("SELECT j->>'$.secret' FROM t", "SELECT j ->> '$' FROM t"),
        ("SELECT a FROM t WHERE d > DATE '2020-01-01'", "SELECT a FROM t WHERE d > ?"),
        ("SELECT a FROM t GROUP BY 2 ORDER BY 3", "SELECT a FROM t GROUP BY 1 ORDER BY 1"),
        ("SELECT a AS 'secret' FROM t", "SELECT a AS 'x' FROM t"),
    ],
)
def test_where_a_parameter_cannot_stand_a_value_of_ours_does(statement: str, shape: str) -> None:
    assert shape_of(statement.encode(), USUAL) == shape


@pytest.mark.parametrize(
    "statement",
    ["SHOW TABLES", "BEGIN", "SET @a = 'secret'", "SELECT 'never ends", "SELECT /*!99999 'x */ 1", "", "((("],
)
def test_there_is_no_shape_of_other_statements_nor_of_what_is_unsure(statement: str) -> None:
    assert shape_of(statement.encode(), USUAL) is None


def test_double_quotes_hold_names_only_where_that_is_known() -> None:
    statement = b'SELECT "a" FROM t'
    assert shape_of(statement, USUAL) == "SELECT ? FROM t"
    assert shape_of(statement, None) == "SELECT ? FROM t"
    assert shape_of(statement, Quoting(ansi_quotes=True)) == "SELECT `a` FROM t"


def test_of_a_long_insert_the_first_row_tells_enough() -> None:
    rows = b",".join(b"(1,'%s')" % (b"secret" * 10) for _ in range(TEXT_BYTES_MAX // 50))
    assert shape_of(b"INSERT INTO t (a, b) VALUES " + rows, USUAL) == "INSERT INTO t (a, b) VALUES (?, ?)"
    assert shape_of(b"SELECT a FROM t WHERE b IN (" + b"1, " * TEXT_BYTES_MAX + b"1)", USUAL) is None
    assert shape_of(b"INSERT INTO t VALUES ('" + b"x" * TEXT_BYTES_MAX + b"')", USUAL) is None


@given(
    st.lists(
        st.sampled_from(["'", '"', "\\", "`", "/*", "*/", "--", "#", "\n", " ", "SECRET", "1", ",", "("])
    )
)
def test_what_stands_between_quotes_never_gets_out(parts: list[str]) -> None:
    inside = "".join(parts)
    for mode in (USUAL, Quoting(no_backslash=True), Quoting(ansi_quotes=True), None):
        no_backslash = mode is not None and mode.no_backslash
        literal = (
            inside.replace("'", "''") if no_backslash else inside.replace("\\", "\\\\").replace("'", "\\'")
        )
        shape = shape_of(f"SELECT a FROM t WHERE b = '{literal}'".encode(), mode)
        assert shape is None or "SECRET" not in shape


@pytest.mark.parametrize(
    ("statement", "definition"),
    [
        ("ALTER TABLE t ADD a INT DEFAULT 5 COMMENT 'secret'", "ALTER TABLE t ADD a INT DEFAULT ? COMMENT ?"),
        ("prepare s from 'ALTER TABLE t RENAME TO u';", "ALTER TABLE t RENAME TO u"),
        ('EXECUTE IMMEDIATE "DROP TABLE t"', "DROP TABLE t"),
        ("PREPARE s FROM @text", None),
        ("SELECT 1", None),
    ],
)
def test_definitions_are_told_without_their_values(statement: str, definition: str | None) -> None:
    assert definition_of(statement.encode(), USUAL) == definition


@pytest.mark.parametrize("piece", ["(", "IN(", "((a),(b)),", "(1),", "VALUES ("])
def test_what_is_deeply_nested_is_written_down_in_no_time(piece: str) -> None:
    # A worker does this between the statements of all its clients.
    began_s = time.process_time()
    shape_of(f"SELECT {piece * (TEXT_BYTES_MAX // len(piece) - 2)}".encode(), USUAL)
    assert time.process_time() - began_s < 0.5


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        ("SELECT f((1),(2),(3)),(4)", "SELECT f((?)),(?)"),
        ("SELECT ((1,2),(3,4)),((5,6),(7,8))", "SELECT ((?, ?))"),
        ("SELECT (1),(a),(1)", "SELECT (?),(a),(?)"),
        ("INSERT INTO t VALUES (1,(2),(3)),(4,5,6)", "INSERT INTO t VALUES (?, (?))"),
        ("SELECT (1),((2", "SELECT (?),((?"),
    ],
)
def test_groups_within_groups_are_told_once(statement: str, shape: str) -> None:
    assert str(shape_of(statement.encode(), USUAL)).replace(" ", "") == shape.replace(" ", "")
