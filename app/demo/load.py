"""Load the story into the books, through the functions behind the doors that everybody uses."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import parse_filter
from app.books.books import Books
from app.core.errors import Conflict
from app.database.connection import Connection
from app.database.tables import account, event
from app.demo import story
from app.ingest import exchange_rates
from app.ingest.accept import accept_events
from app.ingest.request_bodies import RatesBody, SurveyBody, to_survey
from app.ledger import surveys

_BATCH = 2_000


async def load_demo(books: Books, *, progress: Callable[[int, int], None]) -> int:
    """Load the demo company; returns how many events are new. `progress` gets events done and in all.

    Loading it again the same month adds what has happened since. Raises Conflict, and loads nothing, when the books hold
    other accounts or the story of an earlier month.
    """
    today = books.today()
    events = list(story.events(today=today))
    if await books.database.read(_has_accounts):
        if not await _known(books, events[0]):
            raise Conflict("The books hold other accounts, or a demo of an earlier month; they are left as they are.")
        if await _known(books, events[-1]):
            return 0
    await _declare(books)
    accepted = done = 0
    for batch in _batches(iter(events)):
        outcome = await accept_events(books, batch, may_backdate=True)
        if outcome.rejected:
            first = outcome.rejected[0]
            raise Conflict(f"The story does not fit: event {first['id']}: {first['code']}: {first['detail']}")
        accepted += outcome.accepted
        done += len(batch)
        progress(done, len(events))
    return accepted


async def _has_accounts(connection: Connection) -> bool:
    return bool(await connection.scalar(sa.select(sa.exists().select_from(account))))


async def _known(books: Books, told: dict[str, Any]) -> bool:
    """Whether the books hold this event of the story as it is told now; its first one moves with the month."""
    this = (event.c.account_id == account_key(told["account_id"])) & (event.c.id == told["id"])

    async def find(connection: Connection) -> bool:
        at = await connection.scalar(sa.select(event.c.occurred_at).where(this))
        return bool(at == datetime.fromisoformat(told["occurred_at"]))

    return await books.database.read(find)


async def _declare(books: Books) -> None:
    declared = [to_survey(body.pop("id"), SurveyBody.model_validate(body)) for body in story.surveys()]
    given = [RatesBody.model_validate(body) for body in story.exchange_rates(today=books.today())]

    async def write(connection: Connection) -> None:
        for survey in declared:
            await surveys.declare_survey(connection, survey)
        for body in given:
            await exchange_rates.put_rates(connection, body.currency, body.rates)

    await books.database.write(write)
    for name, filter in story.segments().items():
        await segments.put_segment(books, name=name, filter=parse_filter(filter))


def _batches(events: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(events, _BATCH)):
        yield batch
