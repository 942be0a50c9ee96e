"""Asking for much at once: what several parts of an answer need of PostgreSQL goes there and back together.

Each part is a generator: it yields what it asks, is given the rows of each, and returns what it makes of them.
"""

from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any, TypeVar

from app.database.connection import BoundStatement, Connection

T = TypeVar("T")

RowTuples = list[tuple[Any, ...]]
QueryPlan = Generator[Sequence[BoundStatement], Sequence[RowTuples], T]


async def run_plan(connection: Connection, asking: QueryPlan[T]) -> T:
    """What a part comes to, asked on a connection."""
    try:
        asked = next(asking)
        while True:
            asked = asking.send(await connection.fetch_batch(*asked))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def merge_plans(parts: Sequence[QueryPlan[T]]) -> QueryPlan[list[T]]:
    """Several parts as one: each of their turns is asked at the same time."""
    results: dict[int, T] = {}
    asked: dict[int, Sequence[BoundStatement]] = {}

    def turn(number: int, found: Sequence[RowTuples] | None) -> None:
        try:
            asked[number] = parts[number].send(found)  # type: ignore[arg-type]
        except StopIteration as done:
            results[number] = done.value
            asked.pop(number, None)

    for number in range(len(parts)):
        turn(number, None)
    while asked:
        waiting = list(asked.items())
        found = iter((yield [one for _, asks in waiting for one in asks]))
        for number, asks in waiting:
            turn(number, list(islice(found, len(asks))))
    return [results[number] for number in range(len(parts))]
