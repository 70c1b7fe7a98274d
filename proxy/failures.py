"""I remember from where logins failed, until enough time has passed."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

HALF_LIFE_S: Final = 60.0
"""After this long a failure counts half."""
SOURCES_MAX: Final = 10_000
"""As many sources are remembered; then the one that has been quiet for the longest is forgotten."""


class Failures:
    """How often logins from each source failed; old failures fade.

    A source is an IPv4 address, or an IPv6 network of 64 bits, which one machine has to itself. Loopback
    addresses are none, as for MySQL: one program's failures would shut out all others beside the proxy.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def add(self, address: str, now_s: float) -> None:
        """Count a failure."""
        source = _source(address)
        if not source:
            return
        self._known[source] = (self._count(source, now_s) + 1.0, now_s)
        self._known.move_to_end(source)
        if len(self._known) > SOURCES_MAX:
            self._known.popitem(last=False)

    def blocked(self, address: str, now_s: float, limit: int) -> bool:
        """Say whether so many logins from there failed lately; a `limit` of 0 is none.

        The last of them has faded a little already when the next one is asked about.
        """
        return bool(limit and self._known) and self._count(_source(address), now_s) > limit - 1

    def _count(self, source: str, now_s: float) -> float:
        count, at_s = self._known.get(source, (0.0, now_s))
        return count * float(0.5 ** ((now_s - at_s) / HALF_LIFE_S))


def _source(address: str) -> str:
    try:
        place = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if place.is_loopback:
        return ""
    if isinstance(place, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((place, 64), strict=False))
    return str(place)
