"""I say whether an address lies in one of some networks."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def contains(networks: tuple[str, ...], address: str) -> bool:
    """Say whether an address lies in one of these CIDR blocks; what is no address lies in none.

    Raises ValueError when a block is none.
    """
    if not networks:
        return False
    try:
        place = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(place in network for network in _parsed(networks))


@lru_cache(maxsize=1024)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)
