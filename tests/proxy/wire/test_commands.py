from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.commands import (
    NAME_BYTES_MAX,
    ChangeUser,
    HandshakeResponse,
    SslRequest,
    command,
    command_name,
)
from proxy.wire.constants import Capability, Command
from proxy.wire.errors import RemoteError

EVERYTHING = Capability((1 << 29) - 1)
NEEDED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
FULL = NEEDED | Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS | Capability.PLUGIN_AUTH_LENENC

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@given(names, st.binary(max_size=250), names, st.dictionaries(names, names, max_size=4))
def test_an_answer_to_the_greeting_is_read_back(
    user: str, auth: bytes, database: str, attributes: dict[str, str]
) -> None:
    response = HandshakeResponse(FULL, 1 << 24, 45, user, auth, database, "some_plugin", attributes)
    assert HandshakeResponse.parse(response.build(), EVERYTHING) == response


def test_only_what_was_offered_is_agreed_on() -> None:
    response = HandshakeResponse(FULL | Capability.COMPRESS, 1 << 24, 45, "u", b"", "d", "p")
    offered = EVERYTHING & ~Capability.COMPRESS
    assert not HandshakeResponse.parse(response.build(), offered).capabilities & Capability.COMPRESS


def test_a_database_that_was_not_announced_is_not_read() -> None:
    response = HandshakeResponse(NEEDED, 1 << 24, 45, "u", b"x", "", "plugin")
    assert HandshakeResponse.parse(response.build(), EVERYTHING).database == ""


def test_the_password_proof_is_not_printed() -> None:
    assert "proof" not in repr(HandshakeResponse(FULL, 1, 45, "u", b"proof"))


@given(st.binary(max_size=200))
def test_random_bytes_are_an_answer_or_the_clients_fault(data: bytes) -> None:
    try:
        HandshakeResponse.parse(int(FULL).to_bytes(4, "little") + data, EVERYTHING)
    except RemoteError:
        pass


@pytest.mark.parametrize("cut", range(0, 90, 3))
def test_an_answer_cut_short_is_an_answer_or_the_clients_fault(cut: int) -> None:
    whole = HandshakeResponse(FULL, 1, 45, "user", b"p" * 32, "shop", "plugin", {"a": "b"}).build()
    try:
        assert HandshakeResponse.parse(whole[:cut], EVERYTHING).user == "user"
    except RemoteError:
        pass


def test_a_client_without_plugins_is_too_old() -> None:
    old = HandshakeResponse(NEEDED & ~Capability.PLUGIN_AUTH, 1, 45, "u", b"")
    with pytest.raises(RemoteError, match="too old"):
        HandshakeResponse.parse(old.build(), EVERYTHING)


def test_an_endless_user_name_is_refused() -> None:
    with pytest.raises(RemoteError):
        HandshakeResponse.parse(HandshakeResponse(NEEDED, 1, 45, "u" * 257, b"").build(), EVERYTHING)


def test_a_request_for_tls_is_read_back() -> None:
    request = SslRequest(NEEDED | Capability.SSL, 1 << 24, 45)
    assert len(request.build()) == 32
    assert SslRequest.parse(request.build()) == request


def test_commands_have_names_known_or_not() -> None:
    assert command(Command.QUERY, b"SELECT 1") == b"\x03SELECT 1"
    assert command_name(0x16) == "COM_STMT_PREPARE"
    assert command_name(0x77) == "command 0x77"


@given(
    names, st.binary(max_size=255), names, st.integers(0, 0xFFFF), st.dictionaries(names, names, max_size=4)
)
def test_a_change_of_the_user_is_read_back(
    user: str, auth: bytes, database: str, charset: int, attributes: dict[str, str]
) -> None:
    wish = ChangeUser(user, auth, database, charset, "some_plugin", attributes)
    assert ChangeUser.parse(wish.build(FULL), FULL) == wish


def test_a_change_may_end_behind_any_of_its_parts() -> None:
    whole = ChangeUser("app", b"x" * 32, "shop", 255, "plugin", {"key": "value"}).build(FULL)
    user = ChangeUser.parse(whole[: whole.index(b"shop") + 5], FULL)
    assert (user.user, user.database, user.charset, user.plugin, user.attributes) == (
        "app",
        "shop",
        0,
        "",
        {},
    )
    assert ChangeUser.parse(whole[: whole.index(b"plugin")], FULL).charset == 255
    assert ChangeUser.parse(whole[: whole.index(b"plugin") + 7], FULL).plugin == "plugin"
    with pytest.raises(RemoteError):
        ChangeUser.parse(whole[:-1], FULL)


@given(st.binary(max_size=200), st.sampled_from([FULL, NEEDED, Capability(0), EVERYTHING]))
def test_random_bytes_are_a_change_or_the_clients_fault(data: bytes, capabilities: Capability) -> None:
    try:
        ChangeUser.parse(bytes((Command.CHANGE_USER,)) + data, capabilities)
    except RemoteError:
        return


@pytest.mark.parametrize("cut", range(1, 70))
def test_a_change_cut_short_is_a_change_or_the_clients_fault(cut: int) -> None:
    whole = ChangeUser("app", b"x" * 20, "shop", 45, "plugin", {"key": "value"}).build(FULL)
    try:
        ChangeUser.parse(whole[:cut], FULL)
    except RemoteError:
        return


@pytest.mark.parametrize("size", [NAME_BYTES_MAX, NAME_BYTES_MAX + 1])
def test_names_have_an_end(size: int) -> None:
    packet = bytes((Command.CHANGE_USER,)) + b"u" * size + b"\0\0" + b"d" * size + b"\0"
    if size <= NAME_BYTES_MAX:
        assert len(ChangeUser.parse(packet, FULL).database) == size
    else:
        with pytest.raises(RemoteError, match="longer than"):
            ChangeUser.parse(packet, FULL)


# What crashed servers before they knew who they spoke to (CVE-2017-3599 among others).
@pytest.mark.parametrize(
    "length",
    [
        b"\xfb",
        b"\xff",
        b"\xfc",
        b"\xfc\xff",
        b"\xfc\xff\xff",
        b"\xfd\xff\xff\xff",
        b"\xfe" + b"\xff" * 8,
        b"\xfe" + (1 << 31).to_bytes(8, "little"),
        b"\xfe" + (1 << 63).to_bytes(8, "little"),
        b"\xfe\xff",
    ],
)
def test_a_length_that_lies_is_the_clients_fault(length: bytes) -> None:
    head = HandshakeResponse(FULL, 1, 45, "app", b"", "", "").build()[:32]
    for packet in (
        head + b"app\0" + length + b"x" * 20,
        head + b"app\0\0shop\0plugin\0" + length + b"x" * 20,
        head + b"app\0\0shop\0plugin\0\x09" + length + b"x" * 8,
        head + b"app\0\0shop\0plugin\0\x09\x01k" + length + b"x" * 6,
    ):
        with pytest.raises(RemoteError):
            HandshakeResponse.parse(packet, EVERYTHING)


def test_attributes_of_an_odd_number_and_of_64_kib() -> None:
    head = HandshakeResponse(FULL, 1, 45, "app", b"", "", "").build()[:32] + b"app\0\0shop\0plugin\0"
    with pytest.raises(RemoteError):
        HandshakeResponse.parse(head + b"\x02\x01k", EVERYTHING)
    many = {f"key{number:05}": "v" * 90 for number in range(650)}
    response = HandshakeResponse(FULL, 1, 45, "app", b"", "", "", many)
    assert HandshakeResponse.parse(response.build(), EVERYTHING).attributes == many


def test_the_level_of_compression_follows_the_attributes() -> None:
    response = HandshakeResponse(FULL | Capability.ZSTD, 1, 45, "app", b"", "shop", "plugin", {"k": "v"}, 7)
    assert HandshakeResponse.parse(response.build(), EVERYTHING).zstd_level == 7
    assert HandshakeResponse.parse(response.build()[:-1], EVERYTHING).zstd_level == 0
    assert HandshakeResponse.parse(response.build(), EVERYTHING & ~Capability.ZSTD).zstd_level == 0
