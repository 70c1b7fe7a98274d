from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.auth import new_nonce, sha2_verifier
from proxy.wire.commands import HandshakeResponse, SslRequest
from proxy.wire.constants import Capability
from proxy.wire.errors import LocalError, RemoteError, ServerRefused
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState, ServerHandshake, ServerState
from proxy.wire.packets import AuthSwitch, Greeting, OkPacket, auth_more_data

OFFERED = Capability((1 << 25) - 1) & ~Capability.COMPRESS & ~Capability.SSL
WANTED = Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS | Capability.DEPRECATE_EOF


def a_server(*, tls: bool = False) -> ServerHandshake:
    return ServerHandshake(
        connection_id=1, version="9.7.4", capabilities=OFFERED | (Capability.SSL if tls else Capability(0))
    )


def a_client(**options: object) -> ClientHandshake:
    return ClientHandshake("app", "secret", WANTED, "shop", attributes={"a": "b"}, **options)  # type: ignore[arg-type]


def fed_bytewise(side: ClientHandshake | ServerHandshake, data: bytes) -> bytes:
    return b"".join(side.receive(data[at : at + 1]) for at in range(len(data)))


def test_both_sides_agree_byte_by_byte() -> None:
    server, client = a_server(), a_client()
    fed_bytewise(server, fed_bytewise(client, server.greeting()))
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
    [(sequence, payload)] = PacketReader().feed(server.receive(frame(response.build(), 1)))
    switch = AuthSwitch.parse(payload)
    assert sequence == 2
    assert switch.plugin == "caching_sha2_password"
    assert switch.nonce != greeting.nonce
    assert server.state is ServerState.SWITCHING


def test_an_empty_proof_is_asked_for_once_and_never_holds() -> None:
    server, client = a_server(), ClientHandshake("app", "", WANTED)
    assert server.receive(client.receive(server.greeting())) != b""
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
    server.receive(client.tls_started())
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


@given(st.binary(max_size=400))
def test_random_bytes_never_log_in(data: bytes) -> None:
    server = a_server(tls=True)
    server.greeting()
    try:
        server.receive(data)
    except RemoteError:
        return
    assert not server.proof_holds(sha2_verifier("secret"))


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


def test_the_servers_key_is_asked_for_where_somebody_may_listen() -> None:
    client = a_client()
    greeted(client)
    assert client.receive(frame(auth_more_data(b"\x04"), 2)) == frame(b"\x02", 3)
    with pytest.raises(RemoteError, match="key"):
        client.receive(frame(auth_more_data(b"no key"), 4))


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
