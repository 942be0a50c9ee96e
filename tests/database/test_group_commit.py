"""Small writes that arrive at the same time share a transaction, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app.core.errors import Unavailable
from app.database.group_commit import GroupCommit


class Transactions:
    """Double numbers in transactions that wait for `may_end`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def double(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.has_begun.set()
        await self.may_end.wait()
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


def run(work: Callable[[GroupCommit, Transactions], Awaitable[Any]]) -> Any:
    async def within() -> Any:
        return await work(GroupCommit(), Transactions())

    return asyncio.run(within())


def test_a_single_item_is_written_at_once() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        transactions.may_end.set()
        assert await group_commit.run(4, transactions.double) == 8
        assert await group_commit.run(5, transactions.double) == 10
        assert transactions.batches == [[4], [5]]

    run(work)


def test_items_that_arrive_during_a_write_share_the_next_one_and_each_gets_its_own_result() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        first = asyncio.create_task(group_commit.run(1, transactions.double))
        await transactions.has_begun.wait()
        others = [asyncio.create_task(group_commit.run(number, transactions.double)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        transactions.may_end.set()
        assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
        assert transactions.batches == [[1], [2, 3, 4]]

    run(work)


def test_a_write_that_waits_for_a_lock_does_not_delay_the_next() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        waiting = asyncio.create_task(group_commit.run(1, transactions.double))
        await transactions.has_begun.wait()

        async def multiply(items: Sequence[int]) -> list[int]:
            return [10 * item for item in items]

        assert await group_commit.run(2, multiply) == 20
        assert not waiting.done()
        transactions.may_end.set()
        assert await waiting == 2

    run(work)


def test_an_item_that_cannot_be_written_does_not_affect_the_others() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        transactions.may_end.set()
        runs = (group_commit.run(number, transactions.double) for number in (12, 13, 14))
        results = await asyncio.gather(*runs, return_exceptions=True)
        assert results[0] == 24 and results[2] == 28
        assert isinstance(results[1], ValueError)
        assert transactions.batches == [[12, 13, 14], [12], [13], [14]]

    run(work)


def test_when_the_database_is_unavailable_all_items_fail_and_none_is_retried_alone() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        async def fail(items: Sequence[int]) -> list[int]:
            transactions.batches.append(list(items))
            raise Unavailable("unavailable")

        results = await asyncio.gather(*(group_commit.run(n, fail) for n in (1, 2)), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        assert transactions.batches == [[1, 2]]

    run(work)


def test_a_canceled_item_does_not_cancel_the_others() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        tasks = [asyncio.create_task(group_commit.run(number, transactions.double)) for number in (1, 2)]
        await transactions.has_begun.wait()
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        transactions.may_end.set()
        assert await tasks[1] == 4

    run(work)


def test_a_transaction_has_at_most_a_hundred_items() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        transactions.may_end.set()
        assert await asyncio.gather(*(group_commit.run(n, transactions.double) for n in range(200, 450))) == [
            2 * n for n in range(200, 450)
        ]
        assert [len(items) for items in transactions.batches] == [100, 100, 50]

    run(work)


def test_a_group_has_a_limited_weight() -> None:
    async def work(group_commit: GroupCommit, transactions: Transactions) -> None:
        transactions.may_end.set()
        weights = {1: 300, 2: 300, 3: 100, 4: 100, 5: 900, 6: 1}
        results = (group_commit.run(item, transactions.double, weight=weight) for item, weight in weights.items())
        assert await asyncio.gather(*results) == [2, 4, 6, 8, 10, 12]
        assert sorted(transactions.batches) == [[1], [2, 3, 4], [5], [6]]

    run(work)
