"""I make up statements: every kind that MySQL and MariaDB have, put together and spoilt in every way."""

from __future__ import annotations

from hypothesis import strategies as st

# Words in braces are replaced by what is listed below; what changes nothing is listed too, for statements
# are also made of parts of others.
_FORMS = """
CREATE {replace} TABLE {new} {columns} {options}
CREATE {replace} TABLE {new} LIKE {table}
CREATE {replace} TABLE {new} {options} SELECT 1 AS a
CREATE {temporary} TABLE {new} {columns}
CREATE {unique} INDEX {new} ON {table} (a, b)
CREATE {replace} {algorithm} VIEW {view} AS SELECT b FROM t
CREATE {replace} {definer} PROCEDURE {new}() {body}
CREATE {replace} {definer} FUNCTION {new}() RETURNS INT DETERMINISTIC RETURN 1
CREATE {replace} AGGREGATE FUNCTION {new} RETURNS INTEGER SONAME 'x.so'
CREATE {replace} {definer} TRIGGER {new} BEFORE INSERT ON {table} FOR EACH ROW SET @a = 1
CREATE {replace} {definer} EVENT {new} ON SCHEDULE EVERY 1 DAY DISABLE DO {body}
CREATE {replace} DATABASE {exists} hg_guard_test
CREATE SCHEMA hg_guard_test
CREATE {replace} SEQUENCE {new}
CREATE {replace} USER hg_guard_test IDENTIFIED BY 'x'
CREATE {replace} ROLE hg_guard_test
CREATE {replace} SERVER hg_guard_test FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')
CREATE SPATIAL REFERENCE SYSTEM 4999999 NAME 'x' DEFINITION 'GEOGCS["x"]'
CREATE RESOURCE GROUP hg_guard_test TYPE = USER
CREATE UNDO TABLESPACE hg_guard_test ADD DATAFILE 'hg_guard_test.ibu'
CREATE LOGFILE GROUP hg_guard_test ADD UNDOFILE 'x'
CREATE PACKAGE {new} AS FUNCTION f RETURN INT; END
CREATE LIBRARY {new} LANGUAGE JAVASCRIPT AS $$ x $$
ALTER {online} TABLE {table} ADD c INT
ALTER TABLE {table} DROP b, {lock}
ALTER TABLE {table} RENAME TO t9
ALTER TABLE {table} COMMENT = 'x'
ALTER VIEW v AS SELECT b FROM t
ALTER DATABASE CHARACTER SET latin1
ALTER PROCEDURE p COMMENT 'x'
ALTER USER CURRENT_USER() IDENTIFIED BY 'x'
ALTER INSTANCE RELOAD TLS
ALTER SEQUENCE s RESTART 5
ALTER EVENT e DISABLE
DROP {temporary} TABLE {exists2} {table}
DROP TABLES t
DROP VIEW {exists2} v
DROP PROCEDURE {exists2} p
DROP INDEX b ON t
DROP DATABASE {exists2} hg_guard_other
DROP USER {exists2} hg_guard_other
DROP PREPARE s
RENAME {tables} t TO t9
RENAME USER hg_guard_other TO hg_guard_test
TRUNCATE {table}
TRUNCATE TABLE {table}
GRANT {right} ON *.* TO hg_guard_other
GRANT ALL ON *.* TO hg_guard_test IDENTIFIED BY 'x'
REVOKE {right} ON *.* FROM hg_guard_other
SET {scope} max_connections = 77
SET @a = 1, {scope} max_connections = 77
SET {ats}global.max_connections = 77
SET {ats}max_connections = 77
SET PASSWORD FOR hg_guard_other = 'x'
SET DEFAULT ROLE ALL TO hg_guard_other
SET ROLE NONE
SET RESOURCE GROUP x
SET NAMES {charset}
SET CHARACTER SET {charset}
SET character_set_client = {charset}
SET sql_mode = {mode}
SET STATEMENT max_statement_time = 5 FOR {statement}
SET TRANSACTION READ ONLY
SET @v = '{statement}'
PREPARE s FROM @v
PREPARE s FROM '{statement}'
PREPARE s FROM "{statement}"
PREPARE s FROM CONCAT('DR', 'OP TABLE t')
EXECUTE s
EXECUTE IMMEDIATE '{statement}'
EXECUTE IMMEDIATE @v
DEALLOCATE PREPARE s
CALL p()
CALL sys.execute_prepared_stmt('{statement}')
CALL mysql.AddGeometryColumn('', DATABASE(), 't', 'g', 4326)
BEGIN NOT ATOMIC {statement}; END
BEGIN {statement}; END
BEGIN
START TRANSACTION {snapshot}
COMMIT {chain}
ROLLBACK
SAVEPOINT a
IF 1 THEN {statement}; END IF
CASE 1 WHEN 1 THEN {statement}; END CASE
LOOP {statement}; END LOOP
WHILE 1 DO {statement}; END WHILE
REPEAT {statement}; UNTIL 1 END REPEAT
FOR i IN 1..1 DO {statement}; END FOR
DECLARE x INT; BEGIN {statement}; END
x: BEGIN NOT ATOMIC {statement}; END
ANALYZE TABLE t
ANALYZE {statement}
EXPLAIN {statement}
EXPLAIN ANALYZE {statement}
EXPLAIN FORMAT=JSON INTO @v {statement}
DESC {table}
WITH x AS (SELECT 1 AS a) {statement}
WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)
SELECT {hint} * FROM {table} {tail}
(SELECT 1) UNION (SELECT 2)
SELECT 1; {statement}
DO 1; {statement}
{statement}; {statement}
TABLE t
VALUES ROW(1, 2)
INSERT {hint} INTO t VALUES (NULL, 1)
INSERT INTO t SELECT 1, 2 ON DUPLICATE KEY UPDATE b = 1
REPLACE INTO t VALUES (1, 2)
UPDATE t SET b = 1 WHERE a = 1
DELETE FROM t WHERE a = 1 {returning}
LOAD DATA {local} INFILE '/nowhere' INTO TABLE t
LOAD XML INFILE '/nowhere' INTO TABLE t
LOAD INDEX INTO CACHE t
IMPORT TABLE FROM '/nowhere.sdi'
IMPORT TABLE t
HANDLER t OPEN
HANDLER t READ FIRST
HANDLER t CLOSE
LOCK {tables} t READ
UNLOCK {tables}
CHECK TABLE t
CHECKSUM TABLE t
OPTIMIZE TABLE t
REPAIR TABLE t
CACHE INDEX t IN x
FLUSH TABLES
FLUSH PRIVILEGES
RESET QUERY CACHE
RESET PERSIST max_connections
INSTALL PLUGIN x SONAME 'x.so'
INSTALL SONAME 'x'
UNINSTALL PLUGIN x
INSTALL COMPONENT 'file://x'
KILL QUERY 4294967295
KILL USER hg_guard_other
HELP 'x'
SHOW {shown}
USE information_schema
USE hg_guard_none
SIGNAL SQLSTATE '45000'
GET DIAGNOSTICS @a = NUMBER
XA START 'x'
XA END 'x'
XA ROLLBACK 'x'
BACKUP UNLOCK
BINLOG 'AAAA'
PURGE BINARY LOGS BEFORE '2000-01-01'
DELIMITER //
"""
_CHOICES = {
    "replace": ("", "", "OR REPLACE"),
    "temporary": ("TEMPORARY", "TEMPORARY", "/*!99999 TEMPORARY*/", "/*!50000 TEMPORARY*/", ""),
    "new": ("t9", "`t9`", "t", "hg_guard_none.t9"),
    "columns": ("(a INT)", "(a INT, b TEXT)", "(`;` INT)", ""),
    "options": ("", "ENGINE=InnoDB", "COMMENT='x;y'", "PARTITION BY HASH (a)"),
    "table": ("t", "`t`", "t/**/", "v", "hg_guard_none.t"),
    "tables": ("TABLE", "TABLES"),
    "unique": ("", "UNIQUE", "FULLTEXT", "SPATIAL"),
    "algorithm": ("", "ALGORITHM = MERGE", "DEFINER = CURRENT_USER", "SQL SECURITY INVOKER"),
    "definer": ("", "DEFINER = CURRENT_USER"),
    "view": ("v", "v9"),
    "body": ("SELECT 1", "BEGIN SELECT 1; END", "DROP TABLE t"),
    "exists": ("", "IF NOT EXISTS"),
    "exists2": ("", "IF EXISTS"),
    "online": ("", "ONLINE", "IGNORE"),
    "lock": ("ALGORITHM=INSTANT", "LOCK=NONE", "NOWAIT"),
    "right": ("ALL", "SELECT", "CREATE"),
    "scope": ("GLOBAL", "SESSION", "PERSIST", "LOCAL", "/*!50000 GLOBAL*/", ""),
    "ats": ("@@", "@@ ", "@@/**/", "@"),
    "charset": ("utf8mb4", "gbk", "sjis", "big5", "gb18030", "latin1", "swe7", "binary"),
    "mode": ("''", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE", "'ANSI,NO_BACKSLASH_ESCAPES'"),
    "snapshot": ("", "WITH CONSISTENT SNAPSHOT", "READ ONLY"),
    "chain": ("", "AND CHAIN", "WORK"),
    "hint": ("", "/*+ MAX_EXECUTION_TIME(1000) */", "/*! SQL_NO_CACHE */", "DISTINCT"),
    "tail": ("", "FOR UPDATE", "LIMIT 1", "INTO @v", "INTO OUTFILE '/nowhere/x'", "PROCEDURE ANALYSE()"),
    "returning": ("", "RETURNING a"),
    "local": ("", "LOCAL", "LOW_PRIORITY LOCAL"),
    "shown": ("TABLES", "CREATE TABLE t", "WARNINGS", "GRANTS", "PROCESSLIST", "VARIABLES LIKE 'x'"),
    "statement": (
        *("DROP TABLE t", "ALTER TABLE t ADD c INT", "CREATE TABLE t9 (a INT)", "RENAME TABLE t TO t9"),
        *("SET GLOBAL max_connections = 77", "CREATE USER hg_guard_test", "SELECT 1", "DELETE FROM t"),
    ),
}
_NOISE = (
    *(b"/**/", b"/*!", b"*/", b"/*!99999 ", b"/*M!", b"-- \n", b"#\n", b"--", b"\n", b"\0", b"\xa0", b"\x0b"),
    *(
        b";",
        b"'",
        b'"',
        b"`",
        b"\\",
        b"\\'",
        b"\xbf\\",
        b"\x95\\",
        b"(",
        b")",
        b"$$",
        b"@@",
        b"=",
        b",",
        b"\xc3\xad",
    ),
    *(
        b"GLOBAL ",
        b" TEMPORARY ",
        b"DROP TABLE t",
        b"x: ",
        b"SELECT ",
        b"SET ",
        b"1",
        b"\x7f",
        b"\xef\xbb\xbf",
    ),
)


@st.composite
def _statement(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from([form for form in _FORMS.splitlines() if form]))
    while "{" in text:
        name = text[text.index("{") + 1 : text.index("}")]
        text = text.replace("{" + name + "}", draw(st.sampled_from(_CHOICES[name])), 1)
    return text.encode()


@st.composite
def _spoilt(draw: st.DrawFn) -> bytes:
    """A statement with some bytes put in, taken out or turned over."""
    text = bytearray(draw(_statement()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        match draw(st.integers(0, 4)):
            case 0 | 1:
                text[at:at] = draw(st.sampled_from(_NOISE))
            case 2:
                del text[at : at + draw(st.integers(1, 3))]
            case 3:
                text[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case _:
                text[:] = text.swapcase()
    return bytes(text)


def sessions_of_statements() -> st.SearchStrategy[list[bytes]]:
    """What one client could send one after the other."""
    return st.lists(_spoilt(), min_size=20, max_size=60)
