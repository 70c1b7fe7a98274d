"""I am the cases of the lint rules: what is there, what the branch does, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from conf.settings import LintSettings
from migrator.schema.lint.facts import (
    BrokenQuery,
    ColumnUsage,
    DataAnswer,
    Facts,
    Join,
    Refusal,
    ServerWarning,
    TableFacts,
    TableUsage,
    Way,
)
from migrator.schema.renames import NONE, Renames
from router.model import Flavor

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
LONG_AGO = NOW - timedelta(days=60)


@dataclass(frozen=True)
class Case:
    """One case: `before` is on production, `after` is what the branch does then.

    `expected` are the findings of the rule, as `level subject element`. `only` is the flavour it is for.
    """

    code: str
    title: str
    before: Sequence[str]
    after: Sequence[str]
    expected: Sequence[str]
    facts: Facts = field(default_factory=Facts)
    settings: LintSettings = field(default_factory=LintSettings)
    allow_foreign_keys: bool = True
    renames: Renames = NONE
    only: Flavor | None = None

    @property
    def name(self) -> str:
        """The name of the case."""
        return f"{self.code} {self.title}"


MYSQL, MARIADB = Flavor.MYSQL, Flavor.MARIADB
T = "CREATE TABLE t (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20))"
PARENT = "CREATE TABLE p (id INT UNSIGNED PRIMARY KEY, code VARCHAR(20) NOT NULL, UNIQUE KEY by_code (code))"
CHILD = (
    "CREATE TABLE c (id INT PRIMARY KEY, p INT UNSIGNED, CONSTRAINT to_p FOREIGN KEY (p) REFERENCES p (id))"
)
CASCADE = CHILD.replace("REFERENCES p (id)", "REFERENCES p (id) ON DELETE CASCADE")


def answers(subject: str, having: str, **given: object) -> Facts:
    """Facts with one answer about rows of t."""
    answer = DataAnswer("t", subject, having)
    return Facts(answers=(replace(answer, **given),))  # type: ignore[arg-type]


CASES = [
    Case("NO_UNIQUE_KEY", "new table without a key", [], ["CREATE TABLE t (a INT)"], ["error t"]),
    Case(
        "NO_UNIQUE_KEY",
        "debt of a table that stays",
        ["CREATE TABLE t (a INT)"],
        [T.replace(" t ", " u ")],
        ["warning t"],
    ),
    Case(
        "NO_UNIQUE_KEY",
        "debt of a table that changes blocks",
        ["CREATE TABLE t (a INT)"],
        ["ALTER TABLE t ADD COLUMN b INT"],
        ["error t"],
    ),
    Case(
        "NO_UNIQUE_KEY",
        "nullable, prefix, float and blob do not count",
        [],
        [
            "CREATE TABLE t (a INT, b VARCHAR(20) NOT NULL, c FLOAT NOT NULL, d BLOB NOT NULL, "
            "UNIQUE (a), UNIQUE (b(3)), UNIQUE (c), UNIQUE (d(8)))"
        ],
        ["error t"],
    ),
    Case(
        "NO_UNIQUE_KEY",
        "an expression does not count",
        [],
        ["CREATE TABLE t (a INT NOT NULL, UNIQUE ((a + 1)))"],
        ["error t"],
        only=MYSQL,
    ),
    Case(
        "NO_UNIQUE_KEY",
        "no key is there before and after",
        [T],
        ["ALTER TABLE t DROP COLUMN id, ADD COLUMN n INT NOT NULL PRIMARY KEY"],
        ["error t"],
    ),
    Case("NO_UNIQUE_KEY", "a unique key is enough", [], ["CREATE TABLE t (a INT NOT NULL UNIQUE)"], []),
    Case(
        "NO_PRIMARY_KEY", "only a unique key", [], ["CREATE TABLE t (a INT NOT NULL UNIQUE)"], ["warning t"]
    ),
    Case("NO_PRIMARY_KEY", "a primary key", [], [T], []),
    Case(
        "PK_TYPE",
        "a signed tiny one, and a long text",
        [],
        ["CREATE TABLE t (a TINYINT PRIMARY KEY)", "CREATE TABLE u (a VARCHAR(200) PRIMARY KEY)"],
        ["warning t column a", "warning u column a"],
    ),
    Case("PK_TYPE", "an allowed one", [], [T, "CREATE TABLE u (a VARCHAR(16) PRIMARY KEY)"], []),
    Case(
        "BLOB_IN_UNIQUE_KEY",
        "the only key, and one beside another",
        [],
        [
            "CREATE TABLE t (a TEXT NOT NULL, UNIQUE KEY k (a(10)))",
            "CREATE TABLE u (id INT PRIMARY KEY, a BLOB, UNIQUE KEY k (a(10)))",
        ],
        ["error t index k", "warning u index k"],
    ),
    Case(
        "PARTIAL_KEY_IN_UNIQUE_KEY",
        "the only key, and one beside another",
        [],
        [
            "CREATE TABLE t (a VARCHAR(99) NOT NULL, PRIMARY KEY (a(10)))",
            "CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(99), UNIQUE KEY k (a(10)))",
        ],
        ["error t primary key", "warning u index k"],
    ),
    Case(
        "FOREIGN_KEYS_DISALLOWED",
        "not allowed",
        [PARENT],
        [CHILD],
        ["error c foreign key p"],
        allow_foreign_keys=False,
    ),
    Case(
        "FOREIGN_KEYS_DISALLOWED",
        "debt",
        [PARENT, CHILD],
        [T],
        ["warning c foreign key p"],
        allow_foreign_keys=False,
    ),
    Case("FOREIGN_KEYS_DISALLOWED", "allowed", [PARENT], [CHILD], []),
    Case(
        "FOREIGN_KEYS_NONEXISTENT_TABLE",
        "the parent is dropped",
        [PARENT, CHILD],
        ["SET foreign_key_checks = 0", "DROP TABLE p"],
        ["error c foreign key p"],
    ),
    Case("FOREIGN_KEYS_NONEXISTENT_TABLE", "the parent is there", [PARENT], [CHILD], []),
    Case(
        "FOREIGN_KEYS_REFERENCED_VIEW",
        "a view took the parent's place",
        [PARENT, CHILD],
        ["SET foreign_key_checks = 0", "DROP TABLE p", "CREATE VIEW p AS SELECT 1 AS id"],
        ["error c foreign key p"],
    ),
    Case("FOREIGN_KEYS_UNRESOLVED", "both sides fit", [PARENT], [CHILD], []),
    Case(
        "FOREIGN_KEYS_CIRCULAR_DEPENDENCY",
        "two tables that delete each other's rows",
        ["CREATE TABLE a (id INT PRIMARY KEY, b INT)", "CREATE TABLE b (id INT PRIMARY KEY, a INT)"],
        [
            "ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE",
            "ALTER TABLE b ADD CONSTRAINT to_a FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL",
        ],
        ["error a"],
    ),
    Case(
        "FOREIGN_KEYS_CIRCULAR_DEPENDENCY",
        "a ring that changes no rows",
        ["CREATE TABLE a (id INT PRIMARY KEY, b INT)", "CREATE TABLE b (id INT PRIMARY KEY, a INT)"],
        [
            "ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b (id)",
            "ALTER TABLE b ADD CONSTRAINT to_a FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL",
        ],
        [],
    ),
    Case(
        "FK_NONUNIQUE_PARENT",
        "an index that is not unique",
        ["CREATE TABLE p (id INT PRIMARY KEY, n INT, KEY (n))"],
        [
            "SET @allowed = 1 /*!80400 , SESSION restrict_fk_on_non_standard_key = OFF */",
            "CREATE TABLE c (id INT PRIMARY KEY, n INT, CONSTRAINT to_p FOREIGN KEY (n) REFERENCES p (n))",
        ],
        ["warning c foreign key n"],
        facts=Facts(variables={"restrict_fk_on_non_standard_key": "OFF"}),
    ),
    Case(
        "FK_PARENT_CHANGED",
        "the parent is dropped",
        [PARENT, CHILD],
        ["SET foreign_key_checks = 0", "DROP TABLE p"],
        ["error p table c"],
    ),
    Case(
        "FK_PARENT_CHANGED",
        "the referenced column gets another name",
        [PARENT, CHILD],
        ["ALTER TABLE p RENAME COLUMN id TO nr"],
        ["warning p column id"],
        renames=Renames(columns={"p": {"id": "nr"}}),
    ),
    Case(
        "FK_CASCADE",
        "copied",
        [PARENT, CASCADE],
        ["ALTER TABLE c ADD COLUMN n INT"],
        ["warning c foreign key p"],
    ),
    Case(
        "FK_CASCADE",
        "the engine refuses it",
        [PARENT, CASCADE],
        ["ALTER TABLE c ADD COLUMN n INT"],
        ["error c foreign key p"],
        facts=Facts(refusals=(Refusal("c", "foreign key 'to_p' changes rows", "replace it", "FK_CASCADE"),)),
    ),
    Case(
        "FK_CASCADE",
        "not copied",
        [PARENT, CASCADE],
        ["ALTER TABLE c ADD COLUMN n INT"],
        [],
        facts=Facts(ways={"c": Way("instant", instant=True)}),
    ),
    Case(
        "INVALID_CHARSET",
        "not allowed",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET cp1250, b VARCHAR(9))"],
        ["error t column a"],
    ),
    Case(
        "INVALID_CHARSET",
        "debt of a table that changes",
        ["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET cp1250)"],
        ["ALTER TABLE t ADD COLUMN n INT"],
        ["warning t column a"],
    ),
    Case(
        "LEGACY_CHARSET",
        "a column and a default",
        [],
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1) DEFAULT CHARSET=utf8mb4",
            "CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(9)) DEFAULT CHARSET=latin1",
        ],
        ["warning t column a", "warning u"],
    ),
    Case(
        "COLLATION_MIX",
        "joined",
        [],
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_bin)",
            "CREATE TABLE u (id INT PRIMARY KEY, b VARCHAR(9) COLLATE utf8mb4_unicode_ci)",
        ],
        ["warning t column a"],
        facts=Facts(joins=(Join(("u", "b"), ("t", "a")),)),
    ),
    Case(
        "UNSUPPORTED_FEATURE",
        "another engine",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM"],
        ["error t"],
    ),
    Case(
        "UNSUPPORTED_FEATURE",
        "a table of another engine that stays",
        ["CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM"],
        ["CREATE TABLE u (id INT PRIMARY KEY)"],
        ["warning t"],
    ),
    Case(
        "UNSUPPORTED_FEATURE",
        "a table of another engine that changes",
        ["CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM"],
        ["ALTER TABLE t ADD COLUMN a INT"],
        ["error t"],
    ),
    Case(
        "UNSUPPORTED_FEATURE",
        "a table that we do not understand",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING"],
        ["error t"],
        only=MARIADB,
    ),
    Case(
        "UNSUPPORTED_PARTITIONING_FEATURE",
        "the last partition is nearly over",
        [],
        [
            "CREATE TABLE t (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d) "
            "(PARTITION a VALUES LESS THAN ('2026-01-01'), PARTITION b VALUES LESS THAN ('2026-06-03'))"
        ],
        ["warning t partitioning"],
        facts=Facts(now=NOW),
    ),
    Case(
        "UNSUPPORTED_PARTITIONING_FEATURE",
        "by days, and far enough",
        [],
        [
            "CREATE TABLE t (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE (TO_DAYS(d)) "
            "(PARTITION a VALUES LESS THAN (TO_DAYS('2027-01-01')))"
        ],
        [],
        facts=Facts(now=NOW),
    ),
    Case(
        "UNSUPPORTED_PARTITIONING_FEATURE",
        "without an end",
        [],
        [
            "CREATE TABLE t (id INT, d INT, PRIMARY KEY (id, d)) PARTITION BY RANGE (d) "
            "(PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)"
        ],
        [],
        facts=Facts(now=NOW),
    ),
    Case(
        "DUPLICATE_INDEX",
        "twice the same",
        [T],
        ["ALTER TABLE t ADD KEY one (a), ADD KEY two (a)"],
        ["warning t index two"],
    ),
    Case(
        "REDUNDANT_INDEX",
        "the beginning of another, and one that ends in the key",
        [T],
        ["ALTER TABLE t ADD KEY one (a), ADD KEY two (a, b), ADD KEY three (b, id)"],
        ["info t index three", "warning t index one"],
    ),
    Case(
        "REDUNDANT_INDEX",
        "a unique one",
        [T],
        ["ALTER TABLE t ADD UNIQUE KEY one (a), ADD KEY two (a, b)"],
        [],
    ),
    Case(
        "INDEX_TOO_LONG",
        "a hash in place of a unique key",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(2000), UNIQUE KEY k (a))"],
        ["warning t index k"],
        only=MARIADB,
    ),
    Case(
        "INDEX_TOO_LONG",
        "short enough",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(768), KEY k (a))"],
        [],
    ),
    Case(
        "TOO_MANY",
        "eleven indexes",
        [],
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, "
            + ", ".join(f"KEY k{n} (a{', b' if n % 2 else ''})" for n in range(10))
            + ")"
        ],
        ["warning t indexes"],
    ),
    Case(
        "RESERVED_NAME",
        "a name of another tool, and too long a name",
        [],
        [
            "CREATE TABLE _t_gho (id INT PRIMARY KEY)",
            f"CREATE TABLE t (id INT PRIMARY KEY, a INT, CONSTRAINT {'x' * 60} CHECK (a > 0))",
        ],
        ["error _t_gho", f"error t constraint {'x' * 60}"],
    ),
    Case(
        "NAME_CASE",
        "production does not care",
        [],
        ["CREATE TABLE Users (id INT PRIMARY KEY)"],
        ["warning Users"],
        facts=Facts(variables={"lower_case_table_names": "1"}),
    ),
    Case(
        "NAME_CASE",
        "production cares",
        [],
        ["CREATE TABLE Users (id INT PRIMARY KEY)"],
        [],
        facts=Facts(variables={"lower_case_table_names": "0"}),
    ),
    Case(
        "RESERVED_WORD",
        "a table and a column",
        [],
        ["CREATE TABLE `order` (id INT PRIMARY KEY, `rank` INT, `key` INT)"],
        ["warning order", "warning order column key", "warning order column rank"],
        only=MYSQL,
    ),
    Case(
        "NAMING",
        "patterns",
        [],
        ["CREATE TABLE Bad (id INT PRIMARY KEY, camelCase INT, KEY x (camelCase))"],
        ["warning Bad", "warning Bad column camelCase", "warning Bad index x"],
        settings=LintSettings(table_names="[a-z_]+", column_names="[a-z_]+", index_names="by_.*"),
    ),
    Case(
        "AUTO_INC_CAPACITY",
        "live on production",
        [T.replace("INT UNSIGNED", "BIGINT UNSIGNED")],
        ["ALTER TABLE t MODIFY id INT UNSIGNED NOT NULL AUTO_INCREMENT"],
        ["error t column id"],
        facts=Facts(tables={"t": TableFacts(auto_increment=4_200_000_000)}),
    ),
    Case(
        "AUTO_INC_CAPACITY",
        "debt of a table that stays is a warning",
        [T],
        ["CREATE TABLE u (id INT PRIMARY KEY)"],
        ["warning t column id"],
        facts=Facts(tables={"t": TableFacts(auto_increment=4_200_000_000)}),
    ),
    Case(
        "AUTO_INC_CAPACITY",
        "two thirds",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT"],
        ["warning t column id"],
        facts=Facts(tables={"t": TableFacts(auto_increment=3_000_000_000)}),
    ),
    Case(
        "AUTO_INC_TYPE",
        "signed and small",
        [],
        [
            "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT)",
            "CREATE TABLE u (id SMALLINT UNSIGNED PRIMARY KEY AUTO_INCREMENT)",
            T.replace(" t ", " v "),
        ],
        ["warning t column id", "warning u column id"],
    ),
    Case(
        "DEPRECATED",
        "zerofill, and what the server said",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT ZEROFILL"],
        ["warning t column n", "warning t warning 3719"],
        facts=Facts(warnings=(ServerWarning("t", 3719, "'utf8' is an alias"),)),
    ),
    Case(
        "ZERO_DATE",
        "a default",
        [],
        ["SET sql_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00')"],
        ["warning t column d"],
    ),
    Case(
        "TIMESTAMP_2038",
        "new ones",
        ["CREATE TABLE t (id INT PRIMARY KEY, old TIMESTAMP NULL)"],
        ["ALTER TABLE t ADD COLUMN seen TIMESTAMP NULL, ADD COLUMN expires TIMESTAMP NULL"],
        ["info t column seen", "warning t column expires"],
    ),
    Case(
        "FLOAT_MONEY",
        "a price",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, unit_price DOUBLE, share FLOAT)"],
        ["warning t column unit_price"],
    ),
    Case(
        "SPATIAL_NO_SRID",
        "no SRID",
        [],
        ["CREATE TABLE t (id INT PRIMARY KEY, g POINT NOT NULL, SPATIAL KEY k (g))"],
        ["warning t index k"],
        only=MYSQL,
    ),
    Case(
        "NULLABLE_UNIQUE",
        "a nullable column",
        [T],
        ["ALTER TABLE t ADD UNIQUE KEY k (a)"],
        ["info t index k"],
    ),
    Case(
        "TYPE_MISMATCH",
        "a reference, and a join",
        [],
        [
            "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, n INT)",
            "CREATE TABLE t (id INT PRIMARY KEY, user_id INT, m BIGINT, KEY (user_id))",
        ],
        ["warning t column m", "warning t column user_id"],
        facts=Facts(joins=(Join(("users", "n"), ("t", "m")),)),
    ),
    Case(
        "INVALID_TABLE_REFERENCED_IN_VIEW",
        "its table is dropped",
        [T, "CREATE VIEW v AS SELECT a FROM t"],
        ["DROP TABLE t"],
        ["error v"],
        facts=Facts(views={"v": "View 'shop.v' references invalid table(s) or column(s)"}),
    ),
    Case(
        "INVALID_COLUMN_REFERENCED_IN_VIEW",
        "its column is dropped",
        [T, "CREATE VIEW v AS SELECT a FROM t"],
        ["ALTER TABLE t DROP COLUMN a"],
        ["error v"],
        facts=Facts(views={"v": "Unknown column 'shop.t.a' in 'field list'"}),
    ),
    Case(
        "BROKEN_ROUTINE_REF",
        "a trigger, and a procedure",
        [
            T,
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a + 1",
            "CREATE PROCEDURE f() SELECT a FROM t",
            "CREATE PROCEDURE other() SELECT 'a' FROM t",
        ],
        ["ALTER TABLE t DROP COLUMN a"],
        ["error g table t", "warning f table t"],
    ),
    Case(
        "BROKEN_ROUTINE_REF",
        "another trigger's column of that name",
        [
            T,
            T.replace(" t ", " u "),
            "CREATE TRIGGER g BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1",
        ],
        ["ALTER TABLE t DROP COLUMN a"],
        [],
    ),
    Case(
        "DEFINER_MISSING",
        "an account that production does not have",
        [T, "CREATE DEFINER = 'ghost'@'%' VIEW v AS SELECT a FROM t"],
        [],
        ["warning v"],
        facts=Facts(accounts=frozenset({"root@localhost"})),
    ),
    Case(
        "DEFINER_MISSING",
        "an account that is not allowed",
        [T],
        ["CREATE DEFINER = 'ghost'@'%' VIEW v AS SELECT a FROM t"],
        ["error v"],
        settings=LintSettings(definers=("app@*",)),
    ),
    Case(
        "UNSPECIFIED",
        "what the engine refuses",
        [T],
        ["ALTER TABLE t ADD COLUMN n INT"],
        ["error t"],
        facts=Facts(refusals=(Refusal("t", "it has an application-time period", "wait"),)),
    ),
    Case("PROOF_FAILED", "not proved", [T], [], ["error "], facts=Facts(proof_failed="it ran, but …")),
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
