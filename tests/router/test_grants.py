from __future__ import annotations

import pytest

from router.grants import ROWS, Grant, excesses, parse

TRAFFIC = "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, SHOW VIEW ON `shop`.* TO `app`@`%`"


def remedies(*lines: str, allowed: frozenset[str] = ROWS) -> list[str]:
    return [excess.remedy for excess in excesses(parse(lines), allowed)]


def test_a_grant_is_read_and_printed_as_it_was() -> None:
    (grant,) = parse([TRAFFIC])
    assert grant.scope == "`shop`.*"
    assert grant.grantee == "`app`@`%`"
    assert str(grant) == TRAFFIC


def test_the_hash_of_a_password_is_never_shown() -> None:
    line = "GRANT RELOAD ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*918CBF6504' WITH GRANT OPTION"
    (excess,) = excesses(parse([line]))
    assert excess.grant == "GRANT RELOAD ON *.* TO `app`@`%` WITH GRANT OPTION"
    assert excess.remedy == "REVOKE RELOAD, GRANT OPTION ON *.* FROM `app`@`%`"
    with pytest.raises(ValueError, match="a grant that is not understood: GIVE x") as caught:
        parse(["GIVE x IDENTIFIED BY PASSWORD '*918CBF6504'"])
    assert "918CBF" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        TRAFFIC,
        "GRANT USAGE ON *.* TO `app`@`%`",
        "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*918CBF6504' WITH MAX_USER_CONNECTIONS 5",
        "GRANT SELECT, UPDATE (`a`, `b`) ON `shop`.`t` TO `app`@`%`",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`",
        "GRANT SELECT ON *.* TO `app`@`%`",
        "GRANT INSERT ON `shop\\_%`.* TO `app`@`%`",
        "GRANT INSERT ON `mysqlx`.* TO `app`@`%`",
        "GRANT INSERT ON `xheadgate`.* TO `app`@`%`",
        "GRANT `accountant`@`%`,`reader`@`%` TO `app`@`%`",
        "GRANT `accountant` TO `app`@`%`",
        "SET DEFAULT ROLE `accountant` FOR `app`@`%`",
        "REVOKE CREATE ON `mysql`.* FROM `app`@`%`",
    ],
)
def test_a_harmless_grant_is_left_alone(line: str) -> None:
    assert remedies(line) == []


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("GRANT SELECT, CREATE, DROP ON `a``b`.* TO `u`@`%`", "REVOKE CREATE, DROP ON `a``b`.* FROM `u`@`%`"),
        ("GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`", "REVOKE ALL PRIVILEGES ON `shop`.* FROM `u`@`%`"),
        (
            "GRANT REFERENCES (`a`) ON `shop`.`t` TO `u`@`%`",
            "REVOKE REFERENCES (`a`) ON `shop`.`t` FROM `u`@`%`",
        ),
        ("GRANT INSERT ON *.* TO `u`@`%`", "REVOKE INSERT ON *.* FROM `u`@`%`"),
        ("GRANT INSERT ON `%`.* TO `u`@`%`", "REVOKE INSERT ON `%`.* FROM `u`@`%`"),
        ("GRANT SELECT, DELETE ON `m_sql`.* TO `u`@`%`", "REVOKE DELETE ON `m_sql`.* FROM `u`@`%`"),
        ("GRANT UPDATE ON `MYSQL`.`user` TO `u`@`%`", "REVOKE UPDATE ON `MYSQL`.`user` FROM `u`@`%`"),
        ("GRANT UPDATE ON `_headgate`.* TO `u`@`%`", "REVOKE UPDATE ON `_headgate`.* FROM `u`@`%`"),
        ("GRANT A_RIGHT_OF_TOMORROW ON *.* TO `u`@`%`", "REVOKE A_RIGHT_OF_TOMORROW ON *.* FROM `u`@`%`"),
        ("GRANT SELECT ON `s`.* TO `u`@`%` WITH GRANT OPTION", "REVOKE GRANT OPTION ON `s`.* FROM `u`@`%`"),
        (
            "GRANT ALTER ROUTINE ON FUNCTION `s`.`f` TO `r`",
            "REVOKE ALTER ROUTINE ON FUNCTION `s`.`f` FROM `r`",
        ),
        ("GRANT PROXY ON `root`@`%` TO `u`@`%`", "REVOKE PROXY ON `root`@`%` FROM `u`@`%`"),
        ("GRANT PROXY ON ''@'%' TO 'u'@'%'", "REVOKE PROXY ON ''@'%' FROM 'u'@'%'"),
        ("GRANT EVENT ON `s`.* TO PUBLIC", "REVOKE EVENT ON `s`.* FROM PUBLIC"),
    ],
)
def test_a_grant_that_is_too_much_comes_with_what_takes_it_back(line: str, remedy: str) -> None:
    assert remedies(line) == [remedy]


def test_an_exception_from_a_grant_on_everything_counts_when_it_covers_all_of_it() -> None:
    everywhere = "GRANT INSERT, UPDATE ON *.* TO `u`@`%`"
    both = [f"REVOKE INSERT, UPDATE ON `{schema}`.* FROM `u`@`%`" for schema in ("mysql", "_headgate")]
    assert remedies(everywhere, *both) == []
    assert remedies(everywhere, both[0]) == ["REVOKE INSERT, UPDATE ON *.* FROM `u`@`%`"]
    assert remedies(everywhere, both[0], "REVOKE INSERT ON `_headgate`.* FROM `u`@`%`")


def test_what_is_allowed_is_for_the_role_to_say() -> None:
    reader = frozenset({"SELECT"})
    assert remedies("GRANT SELECT, INSERT ON `s`.* TO `u`@`%`", allowed=reader) == [
        "REVOKE INSERT ON `s`.* FROM `u`@`%`"
    ]
    assert remedies("GRANT EXECUTE ON `s`.* TO `u`@`%`", allowed=reader)
    assert not remedies("GRANT EXECUTE ON FUNCTION `s`.`f` TO `u`@`%`", allowed=reader)


def test_a_grant_has_no_hidden_parts() -> None:
    assert (
        Grant(("SELECT",), "*.*", "`u`@`%`", taken_back=True)
        == parse(["REVOKE SELECT ON *.* FROM `u`@`%`"])[0]
    )
