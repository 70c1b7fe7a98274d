from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.errors import RemoteError
from proxy.wire.proxy_header import BINARY_BYTES_MAX, TEXT_BYTES_MAX, ProxyHeader, ProxyHeaderReader

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WHAT_FOLLOWS = b"\x16\x03\x01 the first bytes of TLS"

addresses4 = st.ip_addresses(v=4)
addresses6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None)
ports = st.integers(0, 0xFFFF)


def read(data: bytes, sizes: list[int] | None = None) -> tuple[ProxyHeader, bytes]:
    """Feed a reader as a socket would, in reads of at most these sizes; return what is left as well."""
    reader, at, turn = ProxyHeaderReader(), 0, 0
    while reader.header is None:
        size = reader.missing
        assert size > 0
        if sizes:
            size = min(size, sizes[turn % len(sizes)])
            turn += 1
        piece = data[at : at + size]
        assert piece, "it asked for more than there is"
        reader.feed(piece)
        at += len(piece)
    assert reader.missing == 0
    return reader.header, data[at:]


def binary(command: int, family: int, body: bytes, *, announced: int | None = None) -> bytes:
    length = len(body) if announced is None else announced
    return SIGNATURE + bytes((command, family)) + length.to_bytes(2, "big") + body


@given(st.data(), st.lists(st.integers(1, 20), min_size=1, max_size=9))
def test_a_text_header_names_the_client_and_what_follows_is_left(
    data: st.DataObject, sizes: list[int]
) -> None:
    version = data.draw(st.sampled_from([4, 6]))
    source, target = (data.draw(addresses4 if version == 4 else addresses6) for _ in range(2))
    port, target_port = data.draw(ports), data.draw(ports)
    line = f"PROXY TCP{version} {source} {target} {port} {target_port}\r\n".encode()
    assert read(line + WHAT_FOLLOWS, sizes) == (ProxyHeader(str(source), port), WHAT_FOLLOWS)
    assert read(line + WHAT_FOLLOWS) == (ProxyHeader(str(source), port), WHAT_FOLLOWS)


@given(st.data(), st.binary(max_size=300), st.lists(st.integers(1, 20), min_size=1, max_size=9))
def test_a_binary_header_names_the_client_and_its_further_fields_are_skipped(
    data: st.DataObject, further: bytes, sizes: list[int]
) -> None:
    version = data.draw(st.sampled_from([4, 6]))
    source, target = (data.draw(addresses4 if version == 4 else addresses6) for _ in range(2))
    port = data.draw(ports)
    body = source.packed + target.packed + port.to_bytes(2, "big") + b"\x0c\xea" + further
    header = binary(0x21, 0x11 if version == 4 else 0x21, body)
    assert read(header + WHAT_FOLLOWS, sizes) == (ProxyHeader(str(source), port), WHAT_FOLLOWS)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        binary(0x20, 0x00, b""),
        binary(0x20, 0x11, bytes(12)),
        binary(0x20, 0xFF, b"whatever"),
        binary(0x21, 0x00, b""),
        binary(0x21, 0x00, b"\x04\0\x01x"),
        binary(0x21, 0x31, bytes(216)),
    ],
)
def test_a_header_may_name_nobody(header: bytes) -> None:
    for sizes in ([1], [2], [100]):
        assert read(header + WHAT_FOLLOWS, sizes) == (ProxyHeader(), WHAT_FOLLOWS)


def test_a_mapped_address_is_given_as_ipv4() -> None:
    mapped = ipaddress.ip_address("::ffff:192.0.2.7")
    text = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1234 3306\r\n"
    body = mapped.packed + bytes(16) + (1234).to_bytes(2, "big") + b"\x0c\xea"
    for header in (text, binary(0x21, 0x21, body)):
        assert read(header)[0] == ProxyHeader("192.0.2.7", 1234)


def test_the_longest_headers_are_taken() -> None:
    longest = b"PROXY UNKNOWN".ljust(TEXT_BYTES_MAX - 3) + b".\r\n"
    assert read(longest + WHAT_FOLLOWS) == (ProxyHeader(), WHAT_FOLLOWS)
    body = bytes(12).ljust(BINARY_BYTES_MAX - 16, b"x")
    assert read(binary(0x21, 0x11, body) + WHAT_FOLLOWS) == (ProxyHeader("0.0.0.0", 0), WHAT_FOLLOWS)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x20\0\0\x01\x85\xa6\xff\x09\0\0\0\x01", "does not begin with"),
        (b"GET / HTTP/1.1\r\n", "does not begin with"),
        (b"PROXZ TCP4 1", "does not begin with"),
        (SIGNATURE[:-1] + b"\r", "does not begin with"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "not CR LF"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2" + b"3" * 100, "longer than 107"),
        (b"PROXY UNKNOWN" + b"3" * 100, "longer than 107"),
        (b"PROXY UNKNOWNS 1\r\n", "other fields"),
        (b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", "other fields"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "other fields"),
        (b"PROXY TCP4  1.2.3.4 5.6.7.8 1\r\n", "an address that is none"),
        (b"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", "an address that is none"),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address that is none"),
        (b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "an address that is none"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.\xb2 1 2\r\n", "an address that is none"),
        (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "a zone"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "a port that is none"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "a port that is none"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 \xb2 1\r\n", "a port that is none"),
        (binary(0x11, 0x11, bytes(12)), "command 0x11"),
        (binary(0x22, 0x11, bytes(12)), "command 0x22"),
        (binary(0x21, 0x12, bytes(12)), "family 0x12"),
        (binary(0x21, 0x11, bytes(11)), "11 bytes, too few"),
        (binary(0x21, 0x21, bytes(12)), "12 bytes, too few"),
        (binary(0x21, 0x11, b"", announced=4097), "announces 4097 bytes"),
        (binary(0x20, 0x00, b"", announced=0xFFFF), "announces 65535 bytes"),
    ],
)
def test_what_is_no_header_is_refused_with_the_reason(data: bytes, why: str) -> None:
    for sizes in ([1], [3], [200]):
        with pytest.raises(RemoteError, match=why):
            read(data, sizes)


@given(
    st.binary(max_size=140),
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]),
)
def test_any_bytes_are_a_header_or_refused_or_too_few(noise: bytes, start: bytes) -> None:
    reader, data, at = ProxyHeaderReader(), start + noise, 0
    try:
        while reader.header is None and at < len(data):
            piece = data[at : at + reader.missing]
            reader.feed(piece)
            at += len(piece)
    except RemoteError:
        return
    assert reader.header is not None or reader.missing > 0
    assert at + reader.missing <= BINARY_BYTES_MAX


def test_more_than_was_missing_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="what was missing"):
        ProxyHeaderReader().feed(bytes(13))
    with pytest.raises(ValueError, match="what was missing"):
        ProxyHeaderReader().feed(b"")
