from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pins import PinReason, leaves_behind
from proxy.session import BackendState, Canonical, Session
from proxy.wire.charsets import CharsetNames
from proxy.wire.constants import Command
from proxy.wire.session_state import StateChange, StateKind
from router.classify import classify
from router.model import Flavor

FRESH = {
    "autocommit": "ON",
    "time_zone": "SYSTEM",
    "sql_mode": "STRICT_TRANS_TABLES",
    "sql_select_limit": "18446744073709551615",
    "lock_wait_timeout": "31536000",
    "sql_log_bin": "ON",
    "timestamp": "1.5",
    "foreign_key_checks": "ON",
    "default_tmp_storage_engine": "",
    "character_set_client": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "character_set_results": "utf8mb4",
    "collation_connection": "utf8mb4_general_ci",
    "character_set_server": "latin1",
    "collation_server": "latin1_swedish_ci",
    "default_collation_for_utf8mb4": "utf8mb4_0900_ai_ci",
    "session_track_schema": "ON",
    "statement_id": "7",
}
UTF8 = CharsetNames("utf8mb4")
MARK = StateChange(StateKind.STATE_CHANGED, "", "1")


@pytest.fixture
def canonical() -> Canonical:
    return Canonical(Flavor.MYSQL, FRESH.items())


@pytest.fixture
def session(canonical: Canonical) -> Session:
    return Session(canonical, "shop", UTF8)


def told(**values: str) -> list[StateChange]:
    return [StateChange(StateKind.VARIABLE, name, value) for name, value in values.items()] + [MARK]


def steps(session: Session, backend: BackendState) -> list[str]:
    names = {Command.QUERY: "", Command.INIT_DB: "USE "}
    return [names[Command(step[0])] + step[1:].decode() for step in session.steps_from(backend)]


def run(session: Session, sql: str, *changes: StateChange) -> None:
    """Do as a client does for a statement that goes well."""
    text = sql.encode()
    reason = leaves_behind(classify(text), text)
    if reason:
        session.pin(reason, text)
    session.apply(changes, text)
    session.release(text)


# -- what is carried ----------------------------------------------------------------------------------------


def test_a_fresh_session_needs_nothing_on_a_fresh_backend(canonical: Canonical, session: Session) -> None:
    assert session.steps_from(canonical.fresh("shop")) == []
    assert session.signature == canonical.fresh("shop").signature
    assert not session.pins


def test_what_differs_is_set_in_one_statement(canonical: Canonical, session: Session) -> None:
    session.apply(told(time_zone="+01:00", sql_select_limit="5", autocommit="OFF"), b"SET x")
    assert steps(session, canonical.fresh("shop")) == [
        "SET @@SESSION.time_zone='+01:00',@@SESSION.sql_select_limit=5,@@SESSION.autocommit='OFF'"
    ]
    assert session.steps_from(session.state) == []


def test_what_another_session_left_goes_back_to_what_a_fresh_one_has(
    canonical: Canonical, session: Session
) -> None:
    other = Session(canonical, "shop", UTF8)
    other.apply(told(foreign_key_checks="OFF", default_tmp_storage_engine="MyISAM"), b"SET x")
    # MySQL's DEFAULT would leave the checks off; NULL and empty look the same.
    assert steps(session, other.state) == [
        "SET @@SESSION.foreign_key_checks='ON',@@SESSION.default_tmp_storage_engine=DEFAULT"
    ]


def test_a_variable_set_back_is_forgotten(canonical: Canonical, session: Session) -> None:
    session.apply(told(time_zone="+01:00"), b"SET x")
    session.apply(told(time_zone="SYSTEM"), b"SET x")
    assert session.signature == canonical.fresh("shop").signature


def test_the_schema_is_changed_by_its_own_command(canonical: Canonical, session: Session) -> None:
    session.apply([StateChange(StateKind.SCHEMA, "", "other"), MARK], b"USE")
    assert not session.pins
    assert steps(session, canonical.fresh("shop")) == ["USE other"]


def test_a_session_without_a_schema_takes_no_backend_with_one(canonical: Canonical) -> None:
    session = Session(canonical, "", UTF8)
    assert session.can_follow(canonical.fresh(""))
    assert not session.can_follow(canonical.fresh("shop"))
    assert Session(canonical, "shop", UTF8).can_follow(canonical.fresh("other"))


def test_values_are_quoted_for_every_sql_mode(canonical: Canonical, session: Session) -> None:
    session.apply(told(time_zone="it's"), b"SET x")
    assert steps(session, canonical.fresh("shop")) == ["SET @@SESSION.time_zone='it''s'"]
    session.apply(told(time_zone="a\\b"), b"SET x")
    assert session.pins == {PinReason.VARIABLE}
    session.apply(told(time_zone="SYSTEM"), b"SET x")
    assert not session.pins


def test_a_text_that_looks_like_a_number_stays_a_text(canonical: Canonical, session: Session) -> None:
    session.apply(told(sql_mode="5"), b"SET x")
    assert steps(session, canonical.fresh("shop")) == ["SET @@SESSION.sql_mode='5'"]


def test_names_beyond_ascii_are_sent_in_utf8(canonical: Canonical) -> None:
    session = Session(canonical, "größe", UTF8)
    latin = Session(canonical, "shop", CharsetNames("latin1", "latin1_swedish_ci"))
    assert steps(session, latin.state)[:2] == ["SET NAMES utf8mb4", "USE größe"]
    assert steps(session, canonical.fresh("shop")) == ["USE größe"]


# -- character sets -----------------------------------------------------------------------------------------


def test_a_login_brings_its_character_set(canonical: Canonical) -> None:
    session = Session(canonical, "shop", CharsetNames("latin1", "latin1_bin"))
    assert steps(session, canonical.fresh("shop")) == ["SET NAMES 'latin1' COLLATE 'latin1_bin'"]


def test_a_login_with_an_unknown_one_gets_the_servers(canonical: Canonical) -> None:
    session = Session(canonical, "shop", None)
    assert session.variables["character_set_client"] == "latin1"
    assert session.variables["collation_connection"] == "latin1_swedish_ci"


def test_the_default_collation_need_not_be_named(canonical: Canonical) -> None:
    session = Session(canonical, "shop", CharsetNames("utf8mb4", "utf8mb4_0900_ai_ci"))
    assert session.signature == canonical.fresh("shop").signature


NAMES = told(
    character_set_client="utf8mb4", character_set_connection="utf8mb4", character_set_results="utf8mb4"
)


@pytest.mark.parametrize(
    ("sql", "collation"),
    [
        ("SET NAMES utf8mb4", ""),
        ("set names 'utf8mb4' collate 'utf8mb4_unicode_ci'", "utf8mb4_unicode_ci"),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci, @@SESSION.sql_mode = 'ANSI'", "utf8mb4_unicode_ci"),
        ("SET time_zone = '+00:00', NAMES utf8mb4", ""),
        ("SET character_set_connection = utf8mb4", ""),
    ],
)
def test_the_collation_is_read_from_the_text(canonical: Canonical, sql: str, collation: str) -> None:
    session = Session(canonical, "shop", CharsetNames("latin1", "latin1_bin"))
    session.apply(NAMES, sql.encode())
    assert session.variables["collation_connection"] == collation
    assert not session.pins


@pytest.mark.parametrize(
    "sql",
    [
        "SET CHARACTER SET utf8mb4",
        "SET NAMES utf8mb4 COLLATE DEFAULT COLLATE x",
        "SET NAMES utf8mb4 /*!50000 COLLATE utf8mb4_bin */",
        "SET collation_connection = utf8mb4_bin, NAMES utf8mb4",
        "SET NAMES utf8mb4, NAMES latin1",
        "CALL p()",
        "",
    ],
)
def test_an_unclear_collation_pins(session: Session, sql: str) -> None:
    session.apply(NAMES, sql.encode())
    assert PinReason.CHARSET in session.pins


def test_results_without_conversion_are_null(canonical: Canonical, session: Session) -> None:
    session.apply(told(character_set_results=""), b"SET character_set_results = NULL")
    assert "@@SESSION.character_set_results=NULL" in steps(session, canonical.fresh("shop"))[0]


# -- pins ---------------------------------------------------------------------------------------------------


def test_what_nobody_named_pins(session: Session) -> None:
    session.apply([MARK], b"CALL p()")
    assert session.pins == {PinReason.STATE}
    assert session.soiled


def test_what_a_routine_set_besides_variables_is_unknown(session: Session) -> None:
    session.apply(told(time_zone="+01:00"), b"CALL p()")
    assert session.pins == {PinReason.STATE}


def test_what_set_explains_does_not_pin(session: Session) -> None:
    session.apply(told(time_zone="+01:00"), b"SET time_zone = '+01:00'")
    assert not session.pins
    assert not session.soiled


@pytest.mark.parametrize("name", ["timestamp", "sql_log_bin", "pseudo_thread_id", "session_track_schema"])
def test_some_variables_are_never_carried(canonical: Canonical, session: Session, name: str) -> None:
    session.apply(told(**{name: "0"}), b"SET x")
    assert session.pins == {PinReason.VARIABLE}
    assert session.steps_from(canonical.fresh("shop")) == []


def test_one_back_to_normal_does_not_pin_any_more(session: Session) -> None:
    session.apply(told(sql_log_bin="OFF", session_track_schema="OFF"), b"SET x")
    session.apply(told(sql_log_bin="ON"), b"SET x")
    assert session.pins == {PinReason.VARIABLE}
    session.apply(told(session_track_schema="ON"), b"SET x")
    assert not session.pins
    assert session.soiled


def test_a_timestamp_never_counts_as_normal(session: Session) -> None:
    session.apply(told(timestamp="1.5"), b"SET timestamp = DEFAULT")
    assert session.pins == {PinReason.VARIABLE}


def test_the_last_insert_id_is_kept_apart(canonical: Canonical, session: Session) -> None:
    session.apply(told(last_insert_id="77"), b"SET last_insert_id = 77")
    assert session.last_insert_id == 77
    assert session.signature == canonical.fresh("shop").signature


def test_a_one_shot_level_pins_until_it_is_used_up(session: Session) -> None:
    level = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"
    session.apply([StateChange(StateKind.CHARACTERISTICS, "", level)])
    assert session.pins == {PinReason.ONE_SHOT}
    session.apply([StateChange(StateKind.CHARACTERISTICS, "", "")])
    assert not session.pins
    assert not session.soiled


@pytest.mark.parametrize(
    "text", ["START TRANSACTION READ ONLY;", "SET TRANSACTION READ ONLY; START TRANSACTION;"]
)
def test_an_open_transaction_is_not_a_pin(session: Session, text: str) -> None:
    session.apply([StateChange(StateKind.CHARACTERISTICS, "", "SET TRANSACTION READ ONLY;")])
    session.apply([StateChange(StateKind.CHARACTERISTICS, "", text)])
    assert not session.pins


def test_locked_tables_pin_until_they_are_unlocked(session: Session) -> None:
    session.apply([StateChange(StateKind.TRANSACTION_STATE, "", "_______L")])
    assert session.pins == {PinReason.TABLE_LOCK}
    session.apply([StateChange(StateKind.TRANSACTION_STATE, "", "________")])
    assert not session.pins


def test_a_savepoint_pins_only_without_autocommit(session: Session) -> None:
    run(session, "SAVEPOINT a")
    assert not session.pins
    session.apply(told(autocommit="OFF"), b"SET autocommit = 0")
    run(session, "SAVEPOINT a")
    run(session, "ROLLBACK TO SAVEPOINT a")
    assert session.pins == {PinReason.SAVEPOINT}
    run(session, "COMMIT")
    assert not session.pins
    assert not session.soiled


@pytest.mark.parametrize(
    ("statements", "last"),
    [
        (("PREPARE a FROM 'DO 1'", "PREPARE b FROM 'DO 1'", "DEALLOCATE PREPARE a"), "DROP PREPARE `B`;"),
        (("HANDLER t OPEN", "HANDLER u OPEN", "HANDLER u CLOSE"), "HANDLER T CLOSE"),
        (
            ("CREATE TEMPORARY TABLE a (x INT)", "CREATE TEMPORARY TABLE IF NOT EXISTS b (x INT)"),
            "DROP TEMPORARY TABLE a, `b`",
        ),
        (("FLUSH TABLES WITH READ LOCK",), "UNLOCK TABLES"),
        (("flush table WITH READ LOCK", "LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"), "unlock tables"),
        (("DO GET_LOCK('a', 1)", "DO RELEASE_LOCK('a')"), "SELECT RELEASE_ALL_LOCKS()"),
        (("XA START 'a'", "XA END 'a'"), "XA PREPARE 'a'"),
        (("XA BEGIN 'a'", "XA END 'a'", "XA RECOVER"), "XA ROLLBACK 'a'"),
        (("SELECT SQL_CALC_FOUND_ROWS 1",), "SELECT FOUND_ROWS()"),
    ],
)
def test_a_pin_goes_with_the_last_of_its_reasons(
    session: Session, statements: tuple[str, ...], last: str
) -> None:
    for sql in statements:
        mark = sql.startswith(("PREPARE", "DEALLOCATE", "CREATE"))
        run(session, sql, *([MARK] if mark else []))
        assert session.pins, sql
    run(session, last)
    assert not session.pins


def test_mariadb_keeps_what_is_prepared_with_its_session() -> None:
    session = Session(Canonical(Flavor.MARIADB, []), "shop", UTF8)
    for sql in ("XA START 'a'", "XA END 'a'", "XA PREPARE 'a'"):
        run(session, sql)
        assert session.pins == {PinReason.XA}
    run(session, "XA COMMIT 'a'")
    assert not session.pins


@pytest.mark.parametrize(
    ("sql", "end"),
    [
        ("HANDLER t OPEN AS x", "HANDLER t CLOSE"),
        ("/* x */ PREPARE a FROM 'DO 1'", "DEALLOCATE PREPARE a"),
        ("CREATE TEMPORARY TABLE shop.a (x INT)", "DROP TEMPORARY TABLE a"),
        ("CREATE TEMPORARY TABLE a (x INT)", "DROP TEMPORARY TABLE b"),
        ("SET @a = 1", "SET @a = NULL"),
        ("BACKUP STAGE START", "UNLOCK TABLES"),
        ("LOCK INSTANCE FOR BACKUP", "UNLOCK TABLES"),
        ("SELECT service_get_write_locks('a', 'b', 1)", "DO RELEASE_ALL_LOCKS()"),
    ],
)
def test_a_pin_stays_when_its_end_is_not_clear(session: Session, sql: str, end: str) -> None:
    run(session, sql)
    run(session, end)
    assert session.pins


def test_a_reset_forgets_everything_but_the_schema(canonical: Canonical, session: Session) -> None:
    session.apply(told(time_zone="+01:00", timestamp="5"), b"SET x")
    session.pin(PinReason.CURSOR)
    session.reset()
    assert not session.pins
    assert session.schema == "shop"
    assert session.variables["character_set_client"] == "latin1"
    session.unpin(PinReason.CURSOR)


# -- together -----------------------------------------------------------------------------------------------

_assignments = st.dictionaries(
    st.sampled_from(["time_zone", "sql_mode", "lock_wait_timeout", "unknown_variable"]),
    st.sampled_from(["", "5", "A,B", "SYSTEM", "31536000", "x'y"]),
)


class FakeServer:
    """Has variables, and takes SET and USE as servers do."""

    def __init__(self, state: BackendState) -> None:
        self.schema = state.schema
        self.values = {**FRESH, **state.variables}

    def run(self, step: bytes) -> None:
        if step[0] == Command.INIT_DB:
            self.schema = step[1:].decode()
            return
        text = step[1:].decode()
        if names := re.search(r"NAMES '(\w+)'(?: COLLATE '(\w+)')?", text):
            for variable in ("client", "results", "connection"):
                self.values[f"character_set_{variable}"] = names[1]
            self.values["collation_connection"] = names[2] or ""
        for name, quoted, bare in re.findall(r"@@SESSION\.(\w+)=(?:'((?:[^']|'')*)'|([^,]*))", text):
            value = bare if bare else quoted.replace("''", "'")
            if bare == "DEFAULT":
                value = FRESH.get(name, "")
            self.values[name] = "" if bare == "NULL" else value
            if name == "character_set_connection":
                self.values["collation_connection"] = ""

    def shows(self, session: Session) -> bool:
        wanted = {**FRESH, **session.variables}
        known = {name: value for name, value in self.values.items() if name in wanted or value}
        return self.schema == session.schema and known == {**known, **wanted}


@given(_assignments, _assignments, st.sampled_from(["shop", "other"]), st.booleans())
def test_steps_always_lead_to_the_session(
    first: dict[str, str], second: dict[str, str], schema: str, latin: bool
) -> None:
    canonical = Canonical(Flavor.MYSQL, FRESH.items())
    one = Session(canonical, "shop", CharsetNames("latin1", "latin1_bin") if latin else UTF8)
    two = Session(canonical, schema, UTF8)
    one.apply(told(**first), b"SET x")
    two.apply(told(**second), b"SET x")
    server = FakeServer(canonical.fresh("shop"))
    for target, state in ((one, canonical.fresh("shop")), (two, one.state), (one, two.state)):
        assert (target.signature == state.signature) == (not target.steps_from(state))
        for step in target.steps_from(state):
            server.run(step)
        assert server.shows(target)


def test_signatures_are_never_mixed_up_when_there_are_many(canonical: Canonical) -> None:
    seen = {canonical.state("shop", {"a": str(number)}).signature for number in range(20_001)}
    assert len(seen) == 20_001


def test_the_trackers_leave_out_what_every_answer_would_have(canonical: Canonical) -> None:
    setup = canonical.setup[0]
    assert setup[0] == Command.QUERY
    assert b"time_zone" in setup
    assert b"statement_id" not in setup


def test_states_of_two_servers_never_look_the_same() -> None:
    first, second = (Canonical(Flavor.MYSQL, FRESH.items()) for _ in range(2))
    signatures = [
        canonical.state("shop", {"group_concat_max_len": value}).signature
        for canonical, values in ((first, "123"), (second, "456"))
        for value in values
    ]
    assert len(set(signatures)) == len(signatures)
