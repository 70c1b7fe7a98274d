"""Chunks follow the time they may take."""

from __future__ import annotations

from migrator.engine.rows.chunks import ROWS_AT_FIRST, ROWS_MIN, ChunkSizer


def test_quick_chunks_grow_up_to_the_limit() -> None:
    sizer = ChunkSizer(20000)
    for _ in range(10):
        sizer.took(sizer.rows(0.25), 0.01, 0.25)
    assert sizer.rows(0.25) == 20000


def test_slow_chunks_shrink_but_never_to_nothing() -> None:
    sizer = ChunkSizer(20000)
    for _ in range(20):
        sizer.took(sizer.rows(0.25), 3.0, 0.25)
    assert sizer.rows(0.25) == ROWS_MIN


def test_when_clients_come_back_the_very_next_chunk_is_short() -> None:
    sizer = ChunkSizer(20000)
    for _ in range(10):
        sizer.took(sizer.rows(0.25), 0.2, 0.25)
    assert sizer.rows(0.003) <= ROWS_AT_FIRST / 4


def test_wide_rows_make_short_chunks() -> None:
    assert ChunkSizer(20000, row_bytes=1 << 20).rows(0.25) == ROWS_MIN
