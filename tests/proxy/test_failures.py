from __future__ import annotations

import pytest

from proxy.failures import HALF_LIFE_S, SOURCES_MAX, Failures


def test_so_many_failures_block_until_they_fade() -> None:
    failures = Failures()
    for now_s in range(4):
        failures.add("192.0.2.1", float(now_s))
    assert not failures.blocked("192.0.2.1", 4.0, 5)
    failures.add("192.0.2.1", 4.0)
    assert failures.blocked("192.0.2.1", 5.0, 5)
    assert not failures.blocked("192.0.2.2", 5.0, 5)
    assert not failures.blocked("192.0.2.1", 4.0 + HALF_LIFE_S, 5)


def test_without_a_limit_nobody_is_blocked() -> None:
    failures = Failures()
    for _ in range(1000):
        failures.add("192.0.2.1", 0.0)
    assert not failures.blocked("192.0.2.1", 0.0, 0)


def test_an_ipv6_source_is_the_network_one_machine_has() -> None:
    failures = Failures()
    for host in range(1, 4):
        failures.add(f"2001:db8::{host}", 0.0)
    assert failures.blocked("2001:db8::ffff", 0.0, 3)
    assert not failures.blocked("2001:db8:0:1::1", 0.0, 3)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "", "no address"])
def test_this_machine_and_load_balancers_are_never_blocked(address: str) -> None:
    failures = Failures()
    for _ in range(1000):
        failures.add(address, 0.0)
    failures.add("192.0.2.1", 0.0)
    assert not failures.blocked(address, 0.0, 1)


def test_only_so_many_sources_are_remembered() -> None:
    failures = Failures()
    failures.add("192.0.2.1", 0.0)
    failures.add("192.0.2.2", 0.0)
    for number in range(SOURCES_MAX - 1):
        failures.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0)
    assert not failures.blocked("192.0.2.1", 1.0, 1)
    assert failures.blocked("192.0.2.2", 0.0, 1)
