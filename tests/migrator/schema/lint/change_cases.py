"""I am the cases of the lint rules that look at what a change does."""

from __future__ import annotations

from dataclasses import replace

from migrator.schema.lint.facts import (
    BrokenQuery,
    ColumnUsage,
    Facts,
    TableFacts,
    TableUsage,
    Way,
)
from migrator.schema.renames import Renames
from tests.migrator.schema.lint.case import (
    CHILD,
    LONG_AGO,
    MARIADB,
    MYSQL,
    NOW,
    PARENT,
    YESTERDAY,
    Case,
    T,
    answers,
)

HASHING = Facts(variables={"innodb_adaptive_hash_index": "ON", "innodb_buffer_pool_size": str(64 * 2**30)})
SMALL = Facts(variables={"innodb_adaptive_hash_index": "ON", "innodb_buffer_pool_size": str(2**30)})
TWICE = (
    "CREATE TABLE twice (id INT PRIMARY KEY, p INT UNSIGNED, q INT UNSIGNED, "
    "FOREIGN KEY (p) REFERENCES p (id), FOREIGN KEY (q) REFERENCES p (id))"
)


def children(count: int) -> list[str]:
    """Return tables c1, c2, … with a foreign key to p."""
    return [CHILD.replace(" c ", f" c{n} ").replace("to_p", f"to_p{n}") for n in range(1, count + 1)]


CHANGE_CASES = [
    Case("DROP_TABLE", "not used", [T], ["DROP TABLE t"], ["confirm t"], facts=Facts(now=NOW, usage={})),
    Case(
        "DROP_TABLE",
        "used yesterday",
        [T],
        ["DROP TABLE t"],
        ["error t"],
        facts=Facts(now=NOW, usage={"t": TableUsage(YESTERDAY, 3, ("app",))}),
    ),
    Case(
        "DROP_TABLE",
        "used long ago",
        [T],
        ["DROP TABLE t"],
        ["confirm t"],
        facts=Facts(now=NOW, usage={"t": TableUsage(LONG_AGO, 3)}),
    ),
    Case(
        "DROP_COLUMN",
        "one used, one not, one virtual",
        ["CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, v INT AS (id + 1) VIRTUAL)"],
        ["ALTER TABLE t DROP COLUMN a, DROP COLUMN b, DROP COLUMN v"],
        ["confirm t column b", "error t column a"],
        facts=Facts(
            now=NOW, usage={"t": TableUsage(YESTERDAY, 3, ("app",), {"a": ColumnUsage(YESTERDAY, 2)})}
        ),
    ),
    Case(
        "RENAME",
        "a column that looks like a new one",
        [T],
        ["ALTER TABLE t RENAME COLUMN a TO n"],
        ["confirm t column a"],
    ),
    Case(
        "RENAME",
        "a column said to be renamed",
        [T],
        ["ALTER TABLE t RENAME COLUMN a TO n"],
        ["confirm t column a"],
        renames=Renames(columns={"t": {"a": "n"}}),
    ),
    Case("RENAME", "a table that looks like a new one", [T], ["RENAME TABLE t TO u"], ["confirm t table"]),
    Case(
        "RENAME",
        "a table said to be renamed",
        [T],
        ["RENAME TABLE t TO u"],
        ["confirm u table t"],
        renames=Renames(tables={"t": "u"}),
    ),
    Case("NARROWING", "nobody looked", [T], ["ALTER TABLE t MODIFY a TINYINT"], ["confirm t column a"]),
    Case(
        "NARROWING",
        "a row does not fit",
        [T],
        ["ALTER TABLE t MODIFY a TINYINT"],
        ["error t column a"],
        facts=answers("column 'a'", "values outside -128 … 127", found=True, sample="id=7"),
    ),
    Case("NARROWING", "wider", [T], ["ALTER TABLE t MODIFY a BIGINT, MODIFY b VARCHAR(50)"], []),
    Case(
        "SILENT_LOSS",
        "times of day",
        ["CREATE TABLE t (id INT PRIMARY KEY, d DATETIME)"],
        ["ALTER TABLE t MODIFY d DATE"],
        ["confirm t column d"],
        facts=answers("column 'd'", "times of day", found=True, sample="id=1"),
    ),
    Case(
        "ENUM_SET",
        "removed, reordered, grown",
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a ENUM('x','y'), b ENUM('x','y'), c ENUM('x'), "
            "d SET('1','2','3','4','5','6','7','8'))"
        ],
        [
            "ALTER TABLE t MODIFY a ENUM('x'), MODIFY b ENUM('y','x'), MODIFY c ENUM('x','z'), "
            "MODIFY d SET('1','2','3','4','5','6','7','8','9')"
        ],
        ["confirm t column a", "confirm t order of column b", "info t size of column d"],
    ),
    Case(
        "ENUM_SET",
        "removed though used",
        ["CREATE TABLE t (id INT PRIMARY KEY, a ENUM('x','y'))"],
        ["ALTER TABLE t MODIFY a ENUM('x')"],
        ["error t column a"],
        facts=answers("column 'a'", "the removed member 'y'", found=True, sample="id=1"),
    ),
    Case(
        "SET_NOT_NULL", "nobody looked", [T], ["ALTER TABLE t MODIFY a INT NOT NULL"], ["warning t column a"]
    ),
    Case(
        "SET_NOT_NULL",
        "a row has NULL",
        [T],
        ["ALTER TABLE t MODIFY a INT NOT NULL"],
        ["error t column a"],
        facts=answers("column 'a'", "NULL", found=True, sample="id=3"),
    ),
    Case(
        "SET_NOT_NULL",
        "no time to look",
        [T],
        ["ALTER TABLE t MODIFY a INT NOT NULL"],
        ["warning t column a"],
        facts=answers("column 'a'", "NULL", complete=False, reason="it takes longer than there is time"),
    ),
    Case(
        "NOT_NULL_NO_DEFAULT",
        "an INSERT leaves it out",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT NOT NULL, ADD COLUMN m INT NOT NULL DEFAULT 0"],
        ["error t column n"],
        facts=Facts(usage={"t": TableUsage(YESTERDAY, 9, insert_lists={frozenset({"a", "b"}): 4})}),
    ),
    Case(
        "NOT_NULL_NO_DEFAULT",
        "nobody knows of INSERTs",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT NOT NULL"],
        ["warning t column n"],
    ),
    Case(
        "ADD_UNIQUE", "nobody looked", [T], ["ALTER TABLE t ADD UNIQUE KEY k (a)"], ["warning t unique key k"]
    ),
    Case(
        "ADD_UNIQUE",
        "duplicates",
        [T],
        ["ALTER TABLE t ADD UNIQUE KEY k (a)"],
        ["error t unique key k"],
        facts=answers("unique key 'k'", "the same a as another row", found=True, sample="1, 2 times"),
    ),
    Case(
        "DROP_UNIQUE",
        "one that queries count on",
        [PARENT],
        ["ALTER TABLE p DROP KEY by_code"],
        ["confirm p index by_code"],
        facts=Facts(usage={"p": TableUsage(YESTERDAY, 1, upserts=5)}),
    ),
    Case(
        "DROP_UNIQUE",
        "one that nobody counts on",
        [PARENT],
        ["ALTER TABLE p DROP KEY by_code"],
        ["warning p index by_code"],
    ),
    Case(
        "PK_CHANGE",
        "another column",
        [T],
        ["ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, b)"],
        ["confirm t primary key"],
    ),
    Case(
        "CHARSET_CHANGE",
        "another collation",
        ["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_bin, KEY k (a))"],
        ["ALTER TABLE t MODIFY a VARCHAR(9) COLLATE utf8mb4_unicode_ci"],
        ["confirm t column a"],
    ),
    Case(
        "DROP_INDEX",
        "read, hinted, and covered",
        ["CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT, KEY one (a), KEY two (b), KEY three (c))"],
        ["ALTER TABLE t DROP KEY one, DROP KEY two, DROP KEY three, ADD KEY four (c, b)"],
        ["error t index two", "warning t index one"],
        facts=Facts(
            tables={"t": TableFacts(index_reads={"one": 5, "two": 1, "three": 7})},
            usage={"t": TableUsage(YESTERDAY, 1, hinted={"two": 3})},
        ),
    ),
    Case(
        "INDEX_SHRUNK",
        "a unique one and another",
        ["CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, UNIQUE KEY u (a, b), KEY k (a, b))"],
        ["ALTER TABLE t DROP COLUMN b"],
        ["error t index u", "warning t index k"],
        only=MYSQL,
    ),
    Case(
        "QUERY_BREAKS",
        "a query that was seen",
        [T],
        ["ALTER TABLE t DROP COLUMN a"],
        ["error t query SELECT `a` FROM `t`"],
        facts=Facts(
            broken_queries=(
                BrokenQuery("SELECT `a` FROM `t`", "Unknown column 'a'", ("t",), 1054, 12, YESTERDAY),
            )
        ),
    ),
    Case(
        "NONDET_DEFAULT",
        "an identifier",
        [T],
        ["ALTER TABLE t ADD COLUMN n VARCHAR(36)", "ALTER TABLE t ALTER COLUMN n SET DEFAULT (uuid())"],
        ["warning t column n"],
    ),
    Case(
        "ADD_FK",
        "nobody looked",
        [PARENT, "CREATE TABLE c (id INT PRIMARY KEY, p INT UNSIGNED)"],
        ["ALTER TABLE c ADD CONSTRAINT to_p FOREIGN KEY (p) REFERENCES p (id)"],
        ["warning c the foreign key on (p)"],
    ),
    Case(
        "DROP_FK",
        "one goes",
        [PARENT, CHILD],
        ["ALTER TABLE c DROP FOREIGN KEY to_p"],
        ["warning c foreign key p"],
    ),
    Case(
        "ADD_CHECK",
        "nobody looked",
        [T],
        ["ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)"],
        ["warning t CHECK (`a` > 0)"],
        only=MARIADB,
    ),
    Case(
        "ADD_CHECK",
        "nobody looked there either",
        [T],
        ["ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)"],
        ["warning t CHECK ((`a` > 0))"],
        only=MYSQL,
    ),
    Case(
        "PARTITION_DROP",
        "one goes",
        [
            "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY RANGE (id) "
            "(PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20))"
        ],
        ["ALTER TABLE t DROP PARTITION a"],
        ["confirm t partitioning"],
    ),
    Case(
        "FK_HASH_INDEX",
        "a parent of many is swapped",
        [PARENT, *children(10)],
        ["ALTER TABLE p MODIFY code VARCHAR(30) NOT NULL"],
        ["warning p"],
        facts=HASHING,
    ),
    Case(
        "FK_HASH_INDEX",
        "two keys of a child, and one of its own, are no more children",
        [PARENT[:-1] + ", up INT UNSIGNED, FOREIGN KEY (up) REFERENCES p (id))", *children(8), TWICE],
        ["ALTER TABLE p MODIFY code VARCHAR(30) NOT NULL"],
        [],
        facts=HASHING,
    ),
    Case(
        "FK_HASH_INDEX",
        "nothing is swapped",
        [PARENT, *children(10)],
        ["ALTER TABLE p ADD COLUMN n INT"],
        [],
        facts=replace(HASHING, ways={"p": Way("instant", instant=True)}),
    ),
    Case(
        "FK_HASH_INDEX",
        "nothing is hashed",
        [PARENT, *children(10)],
        ["ALTER TABLE p MODIFY code VARCHAR(30) NOT NULL"],
        [],
        facts=Facts(variables={**HASHING.variables, "innodb_adaptive_hash_index": "OFF"}),
    ),
    Case(
        "FK_HASH_INDEX",
        "the pool is small",
        [PARENT, *children(10)],
        ["ALTER TABLE p MODIFY code VARCHAR(30) NOT NULL"],
        [],
        facts=SMALL,
    ),
    Case(
        "FK_HASH_INDEX",
        "only a child is changed",
        [PARENT, *children(10)],
        ["ALTER TABLE c1 MODIFY id BIGINT"],
        [],
        facts=HASHING,
    ),
    Case("COLUMN_REORDER", "moved", [T], ["ALTER TABLE t MODIFY a INT AFTER b"], ["warning t column order"]),
    Case("COLUMN_REORDER", "added before others", [T], ["ALTER TABLE t ADD COLUMN n INT AFTER id"], []),
    Case(
        "INSTANT_BUDGET",
        "used up",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT"],
        ["warning t"],
        facts=Facts(tables={"t": TableFacts(row_versions=254)}),
        only=MYSQL,
    ),
    Case(
        "MIXED_COST",
        "a column added and a type changed",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT, MODIFY a BIGINT"],
        ["info t"],
        facts=Facts(ways={"t": Way("shadow", instant=False)}),
    ),
    Case(
        "TRIGGER_GAP",
        "another text",
        [T, "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1"],
        ["DROP TRIGGER g", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 2"],
        ["warning g"],
    ),
    Case(
        "VERSION_FEATURE",
        "production is older",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3))"],
        ["error t column v", "warning "],
        facts=Facts(versions=("8.4.2", "9.7.4")),
        only=MYSQL,
    ),
    Case("VERSION_FEATURE", "the same release", [], [T], [], facts=Facts(versions=("9.7.4", "9.7.5"))),
    Case(
        "BIG_TABLE",
        "many rows",
        [T],
        ["ALTER TABLE t MODIFY a BIGINT"],
        ["info t"],
        facts=Facts(tables={"t": TableFacts(rows=90_000_000, bytes=40 * 2**30)}),
    ),
]
