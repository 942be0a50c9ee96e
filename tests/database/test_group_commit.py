"""Small writes that come at the same time share a transaction, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app.core.errors import Unavailable
from app.database.group_commit import GroupCommit


class Transactions:
    """Doubles numbers; each transaction waits until it may go on."""

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.began = asyncio.Event()
        self.done = asyncio.Event()

    async def double(self, items: Sequence[int]) -> list[int]:
        self.begun.append(list(items))
        self.began.set()
        await self.done.wait()
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


def run(work: Callable[[GroupCommit, Transactions], Awaitable[Any]]) -> Any:
    async def within() -> Any:
        return await work(GroupCommit(), Transactions())

    return asyncio.run(within())


def test_one_that_comes_alone_goes_at_once() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        transactions.done.set()
        assert await together.run(4, transactions.double) == 8
        assert await together.run(5, transactions.double) == 10
        assert transactions.begun == [[4], [5]]

    run(work)


def test_those_that_come_while_one_is_written_go_together_and_each_gets_its_own_result() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        first = asyncio.create_task(together.run(1, transactions.double))
        await transactions.began.wait()
        others = [asyncio.create_task(together.run(number, transactions.double)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        transactions.done.set()
        assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
        assert transactions.begun == [[1], [2, 3, 4]]

    run(work)


def test_one_that_waits_for_a_lock_does_not_keep_the_next_waiting() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        stuck = asyncio.create_task(together.run(1, transactions.double))
        await transactions.began.wait()

        async def at_once(items: Sequence[int]) -> list[int]:
            return [10 * item for item in items]

        assert await together.run(2, at_once) == 20
        assert not stuck.done()
        transactions.done.set()
        assert await stuck == 2

    run(work)


def test_one_that_cannot_be_written_leaves_the_others() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        transactions.done.set()
        sent = (together.run(number, transactions.double) for number in (12, 13, 14))
        results = await asyncio.gather(*sent, return_exceptions=True)
        assert results[0] == 24 and results[2] == 28
        assert isinstance(results[1], ValueError)
        assert transactions.begun == [[12, 13, 14], [12], [13], [14]]

    run(work)


def test_when_the_database_is_away_all_are_told_and_nobody_tries_alone() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        async def away(items: Sequence[int]) -> list[int]:
            transactions.begun.append(list(items))
            raise Unavailable("away")

        results = await asyncio.gather(*(together.run(n, away) for n in (1, 2)), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        assert transactions.begun == [[1, 2]]

    run(work)


def test_who_goes_away_does_not_take_the_others_along() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        sent = [asyncio.create_task(together.run(number, transactions.double)) for number in (1, 2)]
        await transactions.began.wait()
        sent[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent[0]
        transactions.done.set()
        assert await sent[1] == 4

    run(work)


def test_a_transaction_holds_no_more_than_a_hundred() -> None:
    async def work(together: GroupCommit, transactions: Transactions) -> None:
        transactions.done.set()
        assert await asyncio.gather(*(together.run(n, transactions.double) for n in range(200, 450))) == [
            2 * n for n in range(200, 450)
        ]
        assert [len(items) for items in transactions.begun] == [100, 100, 50]

    run(work)
