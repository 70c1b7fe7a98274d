"""A small, always equal share of the made-up pairs is proved with every run of the tests."""

from __future__ import annotations

import os

from router.servers.process import LocalServer
from tests.migrator.schema.pairs import run

# For a long run there is a command: python -m tests.migrator.schema.pairs
PAIRS = int(os.environ.get("HEADGATE_SCHEMA_PAIRS", "20"))
# Made-up tables and families are proved elsewhere (`test_verify`); these are of the corpus.
OF_THE_CORPUS = (6, 7, 8)


async def test_tables_of_the_corpus_become_each_other_and_back_or_it_is_known_why(
    server: LocalServer,
) -> None:
    seeds = (seed for seed in range(1_000_000) if seed % 10 in OF_THE_CORPUS)
    outcome = await run(server.server, seeds, PAIRS)
    assert outcome.unexplained == []
    assert outcome.proved + sum(outcome.failures.values()) == PAIRS
    assert outcome.share >= 0.9
