"""Work that is done beside other work: it ends with it, whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from router.beside import beside


async def test_the_outcome_is_there_for_who_awaits_it() -> None:
    async with beside(asyncio.sleep(0, "done")) as work:
        assert await work == "done"


async def test_its_error_comes_where_it_is_awaited() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        async with beside(fail()) as work:
            await work
    async with beside(fail()):
        await asyncio.sleep(0)  # it fails now, and nobody asks


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])
async def test_it_has_ended_when_the_other_work_fails(error: type[BaseException]) -> None:
    ended = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def work() -> None:
        async with beside(wait_for_ever()):
            await asyncio.sleep(0)
            raise error

    with pytest.raises(error):
        await work()
    assert ended.is_set()
