from __future__ import annotations

import functools

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.auth import (
    PasswordKey,
    native_proof,
    native_verifier,
    new_nonce,
    rsa_encrypt_password,
    sha2_proof,
    sha2_verifier,
)
from proxy.wire.commands import ChangeUser, ClientTooOld, HandshakeResponse, SslRequest
from proxy.wire.constants import Capability
from proxy.wire.errors import LocalError, RemoteError, ServerRefused
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState, ServerHandshake, ServerState
from proxy.wire.packets import AuthSwitch, Greeting, OkPacket, auth_more_data

OFFERED = Capability((1 << 25) - 1) & ~Capability.COMPRESS & ~Capability.SSL
WANTED = Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS | Capability.DEPRECATE_EOF
KEY = PasswordKey(
    rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)
SHA2, NATIVE = "caching_sha2_password", "mysql_native_password"


def a_server(*, tls: bool = False) -> ServerHandshake:
    offered = OFFERED | (Capability.SSL if tls else Capability(0))
    return ServerHandshake(connection_id=1, version="9.7.4", capabilities=offered, key=KEY)


def an_answer(plugin: str = SHA2, auth: bytes = b"x" * 32, capabilities: Capability = OFFERED) -> bytes:
    return HandshakeResponse(
        capabilities, 1 << 24, 45, "app", auth, "shop", plugin, {"program_name": "test"}, 3
    ).build()


def one_packet(data: bytes) -> tuple[int, bytes]:
    [packet] = PacketReader().feed(data)
    return packet


def a_client(**options: object) -> ClientHandshake:
    return ClientHandshake("app", "secret", WANTED, "shop", attributes={"a": "b"}, **options)  # type: ignore[arg-type]


def named(server: ServerHandshake, answer: bytes, plugin: str = "caching_sha2_password") -> bytes:
    """Feed the client's answer and ask for a proof by the plugin."""
    assert server.receive(answer) == b""
    return server.choose(plugin)


def fed_bytewise(side: ClientHandshake | ServerHandshake, data: bytes) -> bytes:
    return b"".join(side.receive(data[at : at + 1]) for at in range(len(data)))


def test_both_sides_agree_byte_by_byte() -> None:
    server, client = a_server(), a_client()
    fed_bytewise(server, fed_bytewise(client, server.greeting()))
    assert server.state is ServerState.NAMED
    assert server.choose("caching_sha2_password") == b""
    assert server.state is ServerState.IDENTIFIED
    assert server.response is not None
    assert (server.response.user, server.response.database) == ("app", "shop")
    assert server.response.attributes == {"a": "b"}
    assert server.proof_holds(sha2_verifier("secret"))
    assert not server.proof_holds(sha2_verifier("other"))
    assert fed_bytewise(client, server.accept(status=3)) == b""
    assert client.state is ClientState.DONE
    assert client.status == 3
    assert client.capabilities & WANTED == WANTED


def test_a_client_with_another_plugin_is_switched_with_a_fresh_nonce() -> None:
    server = a_server()
    greeting = Greeting.parse(server.greeting()[4:])
    response = HandshakeResponse(OFFERED, 1, 45, "app", b"x" * 20, "shop", "mysql_native_password")
    [(sequence, payload)] = PacketReader().feed(named(server, frame(response.build(), 1)))
    switch = AuthSwitch.parse(payload)
    assert sequence == 2
    assert switch.plugin == "caching_sha2_password"
    assert switch.nonce != greeting.nonce
    assert server.state is ServerState.SWITCHING


def test_an_empty_proof_is_asked_for_once_and_never_holds() -> None:
    server, client = a_server(), ClientHandshake("app", "", WANTED)
    assert named(server, client.receive(server.greeting())) != b""
    server.receive(frame(b"", 3))
    assert server.state is ServerState.IDENTIFIED
    assert not server.used_password
    assert not server.proof_holds(sha2_verifier(""))


def test_a_refusal_is_what_the_client_reads() -> None:
    server, client = a_server(), a_client()
    server.receive(client.receive(server.greeting()))
    with pytest.raises(ServerRefused) as caught:
        client.receive(server.refuse(1045, "28000", "Access denied"))
    assert (caught.value.errno, caught.value.sqlstate) == (1045, "28000")
    assert server.state is ServerState.REFUSED


def test_tls_comes_between_two_answers() -> None:
    server, client = a_server(tls=True), a_client(tls=True)
    request = client.receive(server.greeting())
    assert client.state is ClientState.TLS_WANTED
    assert server.receive(request) == b""
    assert server.state is ServerState.TLS_WANTED
    server.tls_started()
    assert named(server, client.tls_started()) == b""
    assert server.state is ServerState.IDENTIFIED
    assert server.proof_holds(sha2_verifier("secret"))
    client.receive(server.accept())
    assert client.state is ClientState.DONE
    assert client.secure


def test_capabilities_may_not_change_inside_tls() -> None:
    server = a_server(tls=True)
    server.greeting()
    server.receive(frame(SslRequest(OFFERED | Capability.SSL, 1, 45).build(), 1))
    server.tls_started()
    changed = HandshakeResponse(OFFERED & ~Capability.DEPRECATE_EOF, 1, 45, "app", b"x" * 32)
    with pytest.raises(RemoteError, match="changed"):
        server.receive(frame(changed.build(), 2))


def test_bytes_behind_a_request_for_tls_are_not_taken_for_the_login() -> None:
    server = a_server(tls=True)
    server.greeting()
    request = frame(SslRequest(OFFERED | Capability.SSL, 1, 45).build(), 1)
    with pytest.raises(RemoteError):
        server.receive(request + b"\x16\x03\x01")


def test_tls_that_was_not_offered_cannot_be_asked_for() -> None:
    server = a_server()
    server.greeting()
    with pytest.raises(RemoteError):
        server.receive(frame(SslRequest(OFFERED | Capability.SSL, 1, 45).build(), 1))


def test_a_server_without_the_wanted_tls_is_not_told_the_password() -> None:
    with pytest.raises(RemoteError, match="SSL"):
        a_client(tls=True).receive(a_server().greeting())


def test_a_client_that_goes_on_before_it_is_let_in_is_refused() -> None:
    server, client = a_server(), a_client()
    answer = client.receive(server.greeting())
    with pytest.raises(RemoteError):
        server.receive(answer + frame(b"\x03SELECT 1"))


def test_packets_out_of_order_are_refused() -> None:
    server, client = a_server(), a_client()
    answer = bytearray(client.receive(server.greeting()))
    answer[3] = 7
    with pytest.raises(RemoteError):
        server.receive(bytes(answer))


def asked_for_the_password(server: ServerHandshake, auth: bytes = b"x" * 32) -> None:
    named(server, frame(an_answer(auth=auth), server._sequence))
    assert not server.proof_holds(sha2_verifier("secret"))
    assert one_packet(server.ask_password()) == (server._sequence - 1, b"\x01\x04")
    assert server.state is ServerState.PASSWORD_AWAITED


def test_inside_tls_the_password_comes_as_it_is_and_the_ok_follows_at_once() -> None:
    server = a_server(tls=True)
    server.greeting()
    server.receive(frame(SslRequest(OFFERED | Capability.SSL, 1 << 24, 45).build(), 1))
    server.tls_started()
    named(server, frame(an_answer(capabilities=OFFERED | Capability.SSL), 2))
    server.ask_password()
    server.receive(frame(b"secret\0", 4))
    assert server.state is ServerState.PASSWORD_GIVEN
    assert server.password() == b"secret"
    sequence, ok = one_packet(server.accept(2))
    assert (sequence, ok[0]) == (5, 0)


def test_without_tls_the_password_comes_hidden_by_our_key() -> None:
    server = a_server()
    server.greeting()
    asked_for_the_password(server)
    sequence, key = one_packet(server.receive(frame(b"\x02", 3)))
    assert (sequence, key) == (4, b"\x01" + KEY.public_pem)
    server.receive(frame(rsa_encrypt_password("secret", server._nonce, key[1:]), 5))
    assert server.password() == b"secret"


def test_a_client_that_knows_our_key_need_not_ask_for_it() -> None:
    server = a_server()
    server.greeting()
    asked_for_the_password(server)
    server.receive(frame(rsa_encrypt_password("secret", server._nonce, KEY.public_pem), 3))
    assert server.password() == b"secret"


@pytest.mark.parametrize("given", [b"", b"\0", b"secret\0", bytes(256), b"\x02\x02"])
def test_without_tls_a_password_that_is_not_hidden_is_none(given: bytes) -> None:
    server = a_server()
    server.greeting()
    asked_for_the_password(server)
    server.receive(frame(given, 3))
    assert server.password() == b""


def test_our_key_is_told_once() -> None:
    server = a_server()
    server.greeting()
    asked_for_the_password(server)
    server.receive(frame(b"\x02", 3))
    assert server.receive(frame(b"\x02", 5)) == b""
    assert server.password() == b""


def test_a_native_proof_is_made_with_the_fresh_nonce_only() -> None:
    server = a_server()
    first = Greeting.parse(server.greeting()[4:]).nonce
    switch = AuthSwitch.parse(
        one_packet(named(server, frame(an_answer(NATIVE, native_proof("secret", first)), 1), NATIVE))[1]
    )
    assert switch.plugin == NATIVE
    assert switch.nonce != first
    server.receive(frame(native_proof("secret", switch.nonce), 3))
    assert server.proof_holds(native_verifier("secret"))
    assert not server.proof_holds(native_verifier("other"))
    assert not server.proof_holds(b"")
    assert server.accept(2)[4] == 0


def test_who_changes_the_user_must_prove_itself_with_a_fresh_nonce() -> None:
    packet = ChangeUser("dev", b"x" * 32, "shop", 255, SHA2, {"a": "b"}).build(OFFERED)
    server = ServerHandshake.of_change_user(packet, OFFERED, connection_id=7, charset=45, tls=False)
    assert server.state is ServerState.NAMED
    assert server.response is not None
    assert (server.response.user, server.response.charset) == ("dev", 255)
    sequence, switch = one_packet(server.choose(SHA2))
    assert sequence == 1
    server.receive(frame(sha2_proof("secret", AuthSwitch.parse(switch).nonce), 2))
    assert server.proof_holds(sha2_verifier("secret"))
    assert [number for number, _ in PacketReader().feed(server.accept(2))] == [3, 4]


@pytest.mark.parametrize(
    ("version", "name", "packets"),
    [
        ("5.5.5-10.11.18-MariaDB", "MySQL Connector/J", 1),
        ("9.7.4", "MySQL Connector/J", 2),
        ("5.5.5-10.11.18-MariaDB", "libmariadb", 2),
    ],
)
def test_connector_j_gets_its_ok_at_once_where_it_cannot_read_the_plugins_word(
    version: str, name: str, packets: int
) -> None:
    server = ServerHandshake(connection_id=1, version=version, capabilities=OFFERED)
    server.greeting()
    answer = HandshakeResponse(OFFERED, 1 << 24, 45, "app", b"x" * 32, "shop", SHA2, {"_client_name": name})
    named(server, frame(answer.build(), 1))
    accepted = list(PacketReader().feed(server.accept(2)))
    assert len(accepted) == packets
    assert OkPacket.parse(accepted[-1][1]).status == 2


@pytest.mark.parametrize("missing", [Capability.SECURE_CONNECTION, Capability.PLUGIN_AUTH])
def test_clients_without_authentication_plugins_are_too_old(missing: Capability) -> None:
    server = a_server()
    server.greeting()
    with pytest.raises(ClientTooOld):
        server.receive(frame(an_answer(capabilities=OFFERED & ~missing), 1))


def test_clients_of_before_the_protocol_of_4_1_do_not_speak_it() -> None:
    server = a_server()
    server.greeting()
    with pytest.raises(RemoteError, match=r"4\.1"):
        server.receive(frame(an_answer(capabilities=OFFERED & ~Capability.PROTOCOL_41), 1))


def test_mariadbs_further_capabilities_are_not_looked_at() -> None:
    answer = bytearray(an_answer())
    answer[28:32] = b"\xff\xff\xff\xff"
    server = a_server()
    assert not Greeting.parse(server.greeting()[4:]).capabilities & ~OFFERED
    named(server, frame(bytes(answer), 1))
    assert server.state is ServerState.IDENTIFIED


@given(st.binary(max_size=400))
def test_random_bytes_never_log_in(data: bytes) -> None:
    server = a_server(tls=True)
    server.greeting()
    try:
        server.receive(data)
        if server.state is ServerState.NAMED:
            server.choose(SHA2)
    except RemoteError:
        return
    assert not server.proof_holds(sha2_verifier("secret"))


@functools.cache
def dialogues() -> list[list[bytes]]:
    """What clients send in each kind of login: the answer first, a packet of the dialogue each."""
    password = rsa_encrypt_password("secret", new_nonce(), KEY.public_pem)
    tls = SslRequest(OFFERED | Capability.SSL, 1, 45).build()
    inside = an_answer(capabilities=OFFERED | Capability.SSL)
    return [
        [an_answer(), b"\x02", password],
        [an_answer(NATIVE, b"x" * 20), b"p" * 32, b"\x02", password],
        [an_answer("", b""), b"p" * 32, password],
        [tls, inside, b"secret\0"],
    ]


def play(server: ServerHandshake, chunks: list[bytes]) -> ServerState:
    """Feed chunks as they come, and answer as a login does that never believes the client."""
    for chunk in chunks:
        server.receive(chunk)
        if server.state is ServerState.TLS_WANTED:
            server.tls_started()
        if server.state is ServerState.NAMED:
            server.choose(SHA2)
        if server.state is ServerState.IDENTIFIED:
            server.ask_password()
        if server.state is ServerState.PASSWORD_GIVEN:
            server.password()
    return server.state


def framed(packets: list[bytes]) -> list[bytes]:
    """Put headers on: the server's answers count too, but for the one that TLS takes the place of."""
    sequence, data = 1, []
    for packet in packets:
        data.append(frame(packet, sequence))
        sequence += 1 if len(packet) == 32 and data[1:] == [] and packet[1] & 8 else 2
    return data


@pytest.mark.parametrize("number", range(4))
def test_a_login_may_come_in_any_pieces(number: int) -> None:
    packets = framed(dialogues()[number])
    for at in range(len(packets)):
        for cut in range(1, len(packets[at])):
            server = a_server(tls=True)
            server.greeting()
            chunks = [*packets[:at], packets[at][:cut], packets[at][cut:], *packets[at + 1 :]]
            if packets[at][4:].startswith(b"\x02"):
                continue
            assert play(server, chunks) is ServerState.PASSWORD_GIVEN


@settings(deadline=None)
@given(st.data())
def test_a_login_with_wrong_bytes_is_a_login_or_the_clients_fault(data: st.DataObject) -> None:
    packets = [bytearray(packet) for packet in data.draw(st.sampled_from(dialogues()))]
    victim = data.draw(st.sampled_from(packets))
    for _ in range(data.draw(st.integers(1, 4))):
        action = data.draw(st.sampled_from(["change", "cut", "insert"]))
        at = data.draw(st.integers(0, max(len(victim) - 1, 0)))
        if action == "cut":
            del victim[at : at + data.draw(st.integers(1, 40))]
        elif action == "change" and victim:
            victim[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF]))
        else:
            victim[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    server = a_server(tls=True)
    server.greeting()
    try:
        play(server, framed([bytes(packet) for packet in packets]))
    except RemoteError:
        return
    assert server.state is not ServerState.ACCEPTED


def test_the_machines_say_when_they_are_misused() -> None:
    with pytest.raises(LocalError):
        a_server().tls_started()
    with pytest.raises(LocalError):
        a_client().tls_started()
    with pytest.raises(LocalError):
        _ = a_client().greeting


def greeted(client: ClientHandshake, plugin: str = "caching_sha2_password") -> None:
    client.receive(frame(Greeting("9.7.4", 1, new_nonce(), OFFERED, 45, 2, plugin).build()))


def test_the_password_itself_is_sent_where_nobody_listens() -> None:
    client = a_client(secure=True)
    greeted(client)
    assert client.receive(frame(auth_more_data(b"\x04"), 2)) == frame(b"secret\0", 3)


def test_where_somebody_may_listen_the_password_is_sent_only_hidden_by_a_known_key() -> None:
    client = a_client()
    greeted(client)
    with pytest.raises(RemoteError, match=r"production\.public_key"):
        client.receive(frame(auth_more_data(b"\x04"), 2))
    client = a_client(public_key=KEY.public_pem)
    greeted(client)
    [(sequence, sealed)] = PacketReader().feed(client.receive(frame(auth_more_data(b"\x04"), 2)))
    assert sequence == 3
    assert KEY.open(sealed, client._nonce) == b"secret"
    with pytest.raises(RemoteError):
        client.receive(frame(auth_more_data(KEY.public_pem), 4))


def test_a_plugin_we_do_not_speak_is_named() -> None:
    client = a_client()
    greeted(client)
    with pytest.raises(RemoteError, match="mysql_clear_password"):
        client.receive(frame(AuthSwitch("mysql_clear_password", b"").build(), 2))


def test_a_server_cannot_switch_plugins_for_ever() -> None:
    client = a_client()
    greeted(client)
    for sequence in (2, 4, 6):
        client.receive(frame(AuthSwitch("mysql_native_password", new_nonce()).build(), sequence))
    with pytest.raises(RemoteError, match="keeps changing"):
        client.receive(frame(AuthSwitch("mysql_native_password", new_nonce()).build(), 8))


def test_bytes_behind_the_servers_ok_are_its_fault() -> None:
    client = a_client()
    greeted(client)
    with pytest.raises(RemoteError):
        client.receive(frame(OkPacket().build(), 2) + b"x")


def test_the_password_is_not_printed() -> None:
    assert "secret" not in repr(a_client())
