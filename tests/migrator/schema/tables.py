"""I make up tables: valid, odd, and different enough from each other to need every kind of change."""

from __future__ import annotations

from random import Random

from router.model import Flavor

NAMES = ("a", "b", "c", "d", "e`x", "select", "G h", "ünï")

# Types with a default each may have; all can be cast to one another when there are no rows.
TYPES: dict[str, str | None] = {
    "int": "7",
    "int unsigned": "0",
    "tinyint(1)": "1",
    "bigint": "-1",
    "smallint unsigned": "3",
    "decimal(10,2)": "'1.50'",
    "double": "1e10",
    "float": "0.5",
    "bit(4)": "b'101'",
    "varchar(20)": "'it''s'",
    "varchar(300)": "''",
    "varchar(20) character set latin1": "'NULL'",
    "varchar(20) collate utf8mb4_bin": "'*/'",
    "char(5)": "'x'",
    "text": None,
    "mediumtext": None,
    "json": None,
    "blob": None,
    "varbinary(10)": "0x00FF27",
    "date": "'2020-01-01'",
    "datetime": "CURRENT_TIMESTAMP",
    "datetime(6)": "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
    "timestamp": "CURRENT_TIMESTAMP",
    "time(3)": "'01:02:03.5'",
    "year": "2001",
    "enum('a','b''c')": "'a'",
    "enum('b''c','a','d')": None,
    "set('x','y')": "'x,y'",
}
NUMBERS = ("int", "int unsigned", "bigint", "smallint unsigned", "decimal(10,2)")
LONG = ("text", "mediumtext", "blob")
UNINDEXED = ("json",)
OPTIONS = (
    "COMMENT='it''s */ a table'",
    "ROW_FORMAT=DYNAMIC",
    "ROW_FORMAT=COMPACT",
    "STATS_PERSISTENT=1",
    "STATS_SAMPLE_PAGES=7",
    "DEFAULT CHARSET=latin1",
    "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    "MAX_ROWS=1000",
    "AUTO_INCREMENT=17",
)


def quote(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


def make_table(random: Random, flavor: Flavor, name: str = "t") -> str:
    """Return a CREATE TABLE that the server should accept."""
    names = random.sample(NAMES, random.randint(2, len(NAMES)))
    types: dict[str, str] = {}
    generated: set[str] = set()
    lines = []
    for number, column in enumerate(names):
        types[column], line = _column(random, flavor, column, types, generated, first=number == 0)
        lines.append(f"{quote(column)} {line}")
    plain = [column for column in names if column not in generated]
    lines += _keys(random, flavor, names, plain, types)
    numbers = [column for column in plain if types[column] in NUMBERS]
    for number in range(random.choice((0, 0, 1, 2))):
        if numbers:
            column = quote(random.choice(numbers))
            named = f"CONSTRAINT `check {number}` " if random.random() < 0.5 else ""
            off = " NOT ENFORCED" if flavor is Flavor.MYSQL and random.random() < 0.3 else ""
            lines.append(f"{named}CHECK ({column} <> {random.randint(1, 3)}){off}")
    options = random.sample(OPTIONS, random.choice((0, 0, 1, 2)))
    charsets = [option for option in options if option.startswith("DEFAULT CHARSET")]
    options = [option for option in options if option not in charsets[1:]]
    tail = " ".join(options) + _partitions(random, lines, names)
    return f"CREATE TABLE {quote(name)} ({', '.join(lines)}) {tail}"


def _column(
    random: Random, flavor: Flavor, name: str, types: dict[str, str], generated: set[str], *, first: bool
) -> tuple[str, str]:
    said = random.choice(("x", "it''s", "two words"))
    comment = f" COMMENT '{said}'" if random.random() < 0.2 else ""
    sources = [column for column, kind in types.items() if kind in NUMBERS and column not in generated]
    if sources and random.random() < 0.15:
        generated.add(name)
        storage = random.choice(("VIRTUAL", "STORED"))
        return (
            "bigint",
            f"bigint AS ({quote(random.choice(sources))} + {random.randint(1, 3)}) {storage}{comment}",
        )
    kind = random.choice(NUMBERS) if first else random.choice(list(TYPES))
    line = kind
    default = TYPES[kind]
    not_null = random.random() < 0.4
    if not_null:
        line += " NOT NULL"
    elif kind == "timestamp":
        line += " NULL"
    if default is not None and (random.random() < 0.5 or (kind == "timestamp" and not_null)):
        line += f" DEFAULT {default}"
    elif kind in LONG and random.random() < 0.2:
        line += " DEFAULT ('x')"
    elif kind == "varchar(300)" and random.random() < 0.5:
        line += " DEFAULT (uuid())"
    if random.random() < 0.1 and not first and ("DEFAULT" in line or not not_null):
        line += " INVISIBLE"
    return kind, line + comment


def _keys(
    random: Random, flavor: Flavor, names: list[str], plain: list[str], types: dict[str, str]
) -> list[str]:
    lines = []
    usable = [column for column in names if types[column] not in UNINDEXED]
    numbers = [column for column in plain if types[column] in NUMBERS]
    if numbers and random.random() < 0.7:
        columns = random.sample(numbers, random.randint(1, min(2, len(numbers))))
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, columns))})")
    for number in range(random.randint(0, 3)):
        columns = random.sample(usable, random.randint(1, min(3, len(usable))))
        unique = random.random() < 0.3
        parts = []
        for column in columns:
            prefix = "(5)" if types[column] in LONG or types[column] == "varchar(300)" else ""
            direction = " DESC" if random.random() < 0.2 else ""
            parts.append(f"{quote(column)}{prefix}{direction}")
        if flavor is Flavor.MYSQL and numbers and random.random() < 0.15:
            parts.append(f"(({quote(random.choice(numbers))} + 1))")
        hidden = ""
        if not unique and random.random() < 0.2:
            hidden = " INVISIBLE" if flavor is Flavor.MYSQL else " IGNORED"
        comment = " COMMENT 'k'" if random.random() < 0.1 else ""
        kind = "UNIQUE KEY" if unique else "KEY"
        lines.append(f"{kind} `k {number}` ({', '.join(parts)}){comment}{hidden}")
    texts = [column for column in plain if types[column] in ("text", "mediumtext", "varchar(20)")]
    for number in range(random.choice((0, 0, 0, 1, 2))):
        if texts:
            lines.append(f"FULLTEXT KEY `f{number}` ({quote(random.choice(texts))})")
    return lines


def _partitions(random: Random, lines: list[str], names: list[str]) -> str:
    """Partition some of the tables that have no key at all and so nothing in the way of it."""
    if any("KEY" in line for line in lines) or random.random() < 0.5:
        return ""
    first = quote(names[0])
    return random.choice(
        (
            f" PARTITION BY KEY ({first}) PARTITIONS {random.randint(2, 4)}",
            f" PARTITION BY LINEAR KEY ({first}) PARTITIONS 2",
        )
    )


def make_family(random: Random) -> list[str]:
    """Return statements that make two parents and some children, which also point to themselves."""
    children = random.sample(("t", "u", "v"), random.randint(0, 3))
    parents = [f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("p", "q")]
    return [*parents, *(_make_child(random, name) for name in children)]


def _make_child(random: Random, name: str) -> str:
    lines = [
        "id INT PRIMARY KEY",
        *(f"{column} {random.choice(('INT', 'INT NOT NULL'))}" for column in "abc"),
    ]
    for number in range(random.randint(0, 2)):
        lines.append(f"KEY k{number} ({', '.join(random.sample('abc', random.randint(1, 2)))})")
    for number in range(random.randint(0, 2)):
        named = random.choice(("", f"CONSTRAINT {name}_{random.randint(0, 2)}_{number} "))
        action = random.choice(("", " ON DELETE CASCADE", " ON DELETE RESTRICT", " ON UPDATE CASCADE"))
        parent = random.choice(("p", "q", name))
        lines.append(f"{named}FOREIGN KEY ({random.choice('abc')}) REFERENCES {parent} (id){action}")
    return f"CREATE TABLE {name} ({', '.join(lines)})"
