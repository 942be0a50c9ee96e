"""Query plans: functions that say which statements they need, so that several of them can share one round trip.

A query plan is a generator. It yields a list of statements, receives the rows of each of them in the same order, and may do so
again, for instance with statements that depend on those rows. What it returns is its result. It never waits for the database:
whoever runs it sends its statements, alone (`run_plan`) or together with those of other plans (`merge_plans`).

A plan for the number of sessions, whose second statement depends on the rows of the first:

    def count_sessions(account: str) -> QueryPlan[int]:
        (labels,) = yield [BoundStatement(FIND_LABEL, {"text": "sessions"})]
        if not labels:
            return 0
        (rows,) = yield [BoundStatement(SUM_ENTRIES, {"measure": labels[0][0], "account": account})]
        return rows[0][0]

    count = await run_plan(connection, count_sessions("acme"))                        # two round trips
    counts = await run_plan(connection, merge_plans([count_sessions("acme"), count_sessions("globex")]))  # two as well

Inside another plan, `result = yield from count_sessions("acme")` runs one as a part of it.
"""

from collections.abc import Generator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.statements import BoundStatement

T = TypeVar("T")

RowTuples = list[tuple[Any, ...]]
# Yields statements, receives the rows of each, returns a T.
QueryPlan = Generator[Sequence[BoundStatement], Sequence[RowTuples], T]


async def run_plan(connection: Connection, plan: QueryPlan[T], *, items: int = 0) -> T:
    """Run a plan on a connection and return its result. Each list of statements that it yields is one round trip.

    items: how many items the plan has to look at before each of its round trips, besides the rows; see `run_aside`.
    """
    statements, result = await run_aside(partial(_advance, plan, None), items=items)
    while statements is not None:
        rows = await connection.fetch_batch(*statements)
        statements, result = await run_aside(partial(_advance, plan, rows), items=items + sum(map(len, rows)))
    return result  # type: ignore[return-value]


def _advance(plan: QueryPlan[T], rows: Sequence[RowTuples] | None) -> tuple[Sequence[BoundStatement] | None, T | None]:
    """Send rows to a plan, None at its beginning. Return its next statements or, after the last, None and its result."""
    try:
        return plan.send(rows), None  # type: ignore[arg-type]
    except StopIteration as end:
        return None, end.value


def merge_plans(plans: Sequence[QueryPlan[T]]) -> QueryPlan[list[T]]:
    """Merge plans into one whose result is the list of their results.

    The first statements of all plans share one round trip, then the second statements of those that have more, and so on.
    """
    results: dict[int, T] = {}
    pending: dict[int, Sequence[BoundStatement]] = {}

    def advance(number: int, rows: Sequence[RowTuples] | None) -> None:
        """Send rows to a plan (None starts it), and note its next statements or its result."""
        try:
            pending[number] = plans[number].send(rows)  # type: ignore[arg-type]
        except StopIteration as end:
            results[number] = end.value
            pending.pop(number, None)

    for number in range(len(plans)):
        advance(number, None)
    while pending:
        round_trip = list(pending.items())
        rows = iter((yield [bound for _, statements in round_trip for bound in statements]))
        for number, statements in round_trip:
            advance(number, list(islice(rows, len(statements))))
    return [results[number] for number in range(len(plans))]
