from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.commands import HandshakeResponse, SslRequest, command, command_name
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
