"""The memory budget: never more than there is, first come, first served, and all of it back at the end."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.memory import MemoryBudget, release_memory


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 3), st.booleans()), max_size=12))
def test_a_budget_is_never_exceeded_and_comes_back(requests: list[tuple[int, int, bool]]) -> None:
    async def run() -> None:
        budget, held = MemoryBudget(10), 0

        async def hold(size: int, steps: int) -> None:
            nonlocal held
            async with budget.hold(size, seconds=60):
                held += size
                try:
                    assert held <= 10 - budget.left <= 10
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    held -= size

        tasks: list[asyncio.Task[Any]] = []
        for size, steps, is_cancelled in requests:
            tasks.append(asyncio.create_task(hold(size, steps)))
            await asyncio.sleep(0)
            if is_cancelled:
                tasks[-1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [result for result in results if isinstance(result, AssertionError)]
        assert budget.left == 10

    asyncio.run(run())


def test_who_waits_too_long_is_told_so_and_is_not_in_the_way_of_others() -> None:
    async def run() -> None:
        budget = MemoryBudget(10)
        async with budget.hold(8, seconds=60):
            large = asyncio.create_task(budget.hold(5, seconds=0.01).__aenter__())
            await asyncio.sleep(0)
            async with budget.hold(2, seconds=60):
                with pytest.raises(TimeoutError):
                    await large
        assert budget.left == 10

    asyncio.run(run())


def test_free_memory_can_be_given_back_on_every_system() -> None:
    release_memory()
