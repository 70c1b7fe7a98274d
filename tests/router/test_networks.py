from __future__ import annotations

import pytest

from router.networks import contains

NETWORKS = ("192.0.2.0/24", "198.51.100.7", "2001:db8::/32")


@pytest.mark.parametrize(
    "address", ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:1::1", "2001:db8::1%eth0"]
)
def test_an_address_in_one_of_the_networks_is_in(address: str) -> None:
    assert contains(NETWORKS, address)


@pytest.mark.parametrize("address", ["192.0.3.1", "198.51.100.8", "::1", "", "localhost", "::ffff:192.0.2.1"])
def test_an_address_in_none_of_them_is_out(address: str) -> None:
    assert not contains(NETWORKS, address)


def test_no_network_holds_nothing() -> None:
    assert not contains((), "192.0.2.1")


def test_a_block_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError):
        contains(("192.0.2.0/33",), "192.0.2.1")
