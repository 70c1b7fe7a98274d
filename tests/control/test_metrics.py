"""What is told at `/metrics`, read back by Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from control.metrics import BOUNDS_S, PREFIX, Metrics
from proxy.channel import (
    BranchStats,
    ClassStats,
    Count,
    GateOpened,
    Hello,
    PinnedClient,
    PoolStats,
    Stats,
)
from proxy.histogram import bucket_of

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def report(**changes: object) -> Stats:
    """A report of two queries of 300 µs and 7 s on shop/main."""
    buckets = [(bucket_of(300), 1), (bucket_of(7_000_000), 1)]
    pool = PoolStats(
        active=1, linked=2, idle=3, waiting=4, pinned={"call": 1}, steals={"set": 5}, opened=6, closed=1,
        wait_buckets=[(bucket_of(2_000), 4)],
    )  # fmt: skip
    pinned = [PinnedClient(7, "app", "127.0.0.1", ["call"], 12.5)]
    branch = BranchStats(
        "shop", "main", 9, 2, 1, {"read": ClassStats(2, 1, 1, 7_000_300, buckets)}, pool, pinned
    )
    counts = [
        Count("auth_total", [("result", "ok"), ("tls", "yes")], 3),
        Count("tls_handshake_seconds_sum", [], 0.25),
        Count("tls_handshake_seconds_count", [], 5),
        Count("ddl_blocked_total", [("branch", "main"), ("verb", "ALTER TABLE")], 1),
        Count("killed_total", [("what", "query")], 1),
        Count("protocol_errors_total", [("where", "login"), ("kind", "malformed")], 1),
        Count("guard_slow_path_total", [("reason", "several")], 1),
    ]
    return Stats(0.0, [branch], counts, 4.0)


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix(PREFIX)}{{{labels}}}"] = sample.value
    return found


def test_reports_of_all_workers_are_added_up() -> None:
    metrics = Metrics()
    for worker in (1, 2):
        metrics.joined(Hello(worker, 100, "first"))
        metrics.record(worker, worker, report())
    found = values(metrics)
    main = "branch=main,database=shop"
    assert found[f"client_connections{{{main}}}"] == 18
    assert found[f"queries_total{{{main.replace(',', ',class=read,')}}}"] == 4
    assert found[f"query_errors_total{{{main.replace(',', ',class=read,')}}}"] == 2
    assert found[f"statements_refused_total{{{main}}}"] == 2
    assert found[f"backend_connections{{{main},state=linked}}"] == 4
    assert found[f"pinned_connections{{{main},reason=call}}"] == 2
    assert found[f"pool_steals_total{{{main},kind=set}}"] == 10
    assert found["auth_total{result=ok,tls=yes}"] == 6
    assert found["tls_handshake_seconds_sum{}"] == 0.5
    assert found["tls_handshake_seconds_count{}"] == 10
    assert found["loop_lag_seconds{worker=1}"] == pytest.approx(0.004)


def test_histograms_are_cumulative_and_keep_their_sum() -> None:
    metrics = Metrics()
    metrics.record(1, 1, report())
    found = values(metrics)
    where = "branch=main,class=read,database=shop"
    assert found[f"query_seconds_bucket{{{where},le=0.00025}}"] == 0
    assert found[f"query_seconds_bucket{{{where},le=0.0005}}"] == 1
    assert found[f"query_seconds_bucket{{{where},le=5.0}}"] == 1
    assert found[f"query_seconds_bucket{{{where},le=+Inf}}"] == found[f"query_seconds_count{{{where}}}"] == 2
    assert found[f"query_seconds_sum{{{where}}}"] == pytest.approx(7.0, rel=0.07)
    assert found["pool_wait_seconds_count{branch=main,database=shop}"] == 4
    assert list(BOUNDS_S) == sorted(BOUNDS_S)


def test_a_worker_that_is_gone_has_nothing_now_but_what_it_did_stays() -> None:
    metrics = Metrics()
    metrics.record(1, 1, report())
    metrics.forget(1)
    found = values(metrics)
    assert "client_connections{branch=main,database=shop}" not in found
    assert found["queries_total{branch=main,class=read,database=shop}"] == 2
    assert metrics.pools("shop", "main") == {}
    assert metrics.pinned("shop", "main") == []


def test_restarts_are_counted_by_boots() -> None:
    metrics = Metrics()
    for boot in ("first", "first", "second"):
        metrics.joined(Hello(1, 100, boot))
    assert values(metrics)["worker_restarts_total{worker=1}"] == 1


def test_pools_and_pinned_clients_can_be_asked_for() -> None:
    metrics = Metrics()
    metrics.record(1, 3, report())
    assert metrics.pools("shop", "main")[3].waiting == 4
    [pinned] = metrics.pinned("shop", "main")
    assert (pinned.connection_id, pinned.reasons) == (7, ["call"])
    assert metrics.pools("shop", "dev") == {}


def test_every_metric_is_described() -> None:
    metrics = Metrics()
    metrics.joined(Hello(1, 100, "first"))
    metrics.record(1, 1, report())
    metrics.gate_opened(GateOpened(1, 2, 1, 3.0, False))
    text = DOCS.read_text()
    for family in text_string_to_metric_families(metrics.text().decode()):
        assert f"`{family.name}" in text, family.name
