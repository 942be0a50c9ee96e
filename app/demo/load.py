"""Load the demo into the database, through the functions behind the API."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import parse_filter
from app.alerts.alerts import list_alerts, put_alert
from app.alerts.evaluate import evaluate_alerts
from app.books.books import Books
from app.books.last_day import move_last_day
from app.core.errors import Conflict
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.database.tables import WHOLE_BUSINESS, account, event
from app.demo import story
from app.demo.accounts import ID_PREFIX
from app.demo.alerts import ALERTS
from app.demo.health import AUTHOR
from app.health.model import HealthModel
from app.health.versions import load_versions, put_version
from app.ingest import exchange_rates
from app.ingest.accept import accept_events
from app.ingest.request_bodies import RatesBody, SurveyBody, to_survey
from app.ledger import surveys
from app.scorecard.targets import put_target
from app.scorecard.versions import load_all_stretches

_BATCH = 2_000


async def load_demo(books: Books, *, progress: Callable[[int, int], None]) -> int:
    """Load the demo company and return how many events are new. `progress` gets the events sent and their total.

    Loading it again in the same month adds what has happened since. Raises Conflict, and loads nothing, when the database has
    other accounts or a demo of an earlier month; that one can be used again, however long nobody has used it.
    """
    today = books.clock_day()
    if await books.database.read(_has_only_demo_accounts):
        # Nothing of value depends on whether the clock is right.
        await move_last_day(books.database, books.last_day, today, max_jump_days=None)
    events = list(story.events(today=today))
    if await books.database.read(_has_accounts):
        if not await _has_event(books, events[0]):
            raise Conflict(
                "The database has other accounts or a demo of an earlier month, so no demo data were added. For a new demo, take "
                "another database, or delete everything in this one with `csmetrics reset --yes`."
            )
        if await _has_event(books, events[-1]):
            return 0
    await _declare(books)
    accepted = sent = 0
    for batch in _batches(iter(events)):
        outcome = await accept_events(books, batch, may_backdate=True)
        if outcome.rejected:
            first = outcome.rejected[0]
            raise Conflict(f"The demo event {first['id']} was rejected: {first['code']}: {first['detail']}")
        accepted += outcome.accepted
        sent += len(batch)
        progress(sent, len(events))
    await _put_alerts(books)
    return accepted


async def _has_accounts(connection: Connection) -> bool:
    return bool(await connection.scalar(sa.select(sa.exists().select_from(account))))


async def _has_only_demo_accounts(connection: Connection) -> bool:
    is_foreign = account.c.id.not_like(f"{ID_PREFIX}%") & (account.c.account_id != WHOLE_BUSINESS)
    has_foreign = await connection.scalar(sa.select(sa.exists().where(is_foreign)))
    return not has_foreign and await _has_accounts(connection)


async def _has_event(books: Books, demo_event: dict[str, Any]) -> bool:
    """Return whether an event of the demo is stored with the same time. The first event moves with the month."""
    is_same = (event.c.account_id == account_key(demo_event["account_id"])) & (event.c.id == demo_event["id"])

    async def read(connection: Connection) -> bool:
        at = await connection.scalar(sa.select(event.c.occurred_at).where(is_same))
        return bool(at == datetime.fromisoformat(demo_event["occurred_at"]))

    return await books.database.read(read)


async def _declare(books: Books) -> None:
    """Store the surveys, exchange rates, segments and goals of the demo."""
    demo_surveys = [to_survey(body.pop("id"), SurveyBody.model_validate(body)) for body in story.surveys()]
    rates = [RatesBody.model_validate(body) for body in story.exchange_rates(today=books.clock_day())]

    async def write(connection: Connection) -> None:
        for survey in demo_surveys:
            await surveys.declare_survey(connection, survey)
        for body in rates:
            await exchange_rates.put_rates(connection, body.currency, body.rates)

    await books.database.write(write)
    for name, filter in story.segments().items():
        await segments.put_segment(books, name=name, filter=parse_filter(filter))
    await _set_goals(books)


async def _set_goals(books: Books) -> None:
    """Store the versions of the health model and the targets of the demo that are not stored yet, each as of its own day."""
    today = books.clock_day()
    versions = await books.database.read(lambda connection: run_plan(connection, load_versions()))
    # The first version comes with the service.
    for model in story.health_models(today=today)[len(versions) - 1 :]:
        document, day = HealthModel.model_validate(model.document), model.recorded_on
        await put_version(books, document, effective_from=day, author=AUTHOR, recorded_on=day)
    existing = await books.database.read(lambda connection: run_plan(connection, load_all_stretches(None)))
    for target in story.targets(today=today):
        if target.id not in existing:
            await put_target(books, target.id, target.body, strict=False, recorded_on=target.recorded_on)


async def _put_alerts(books: Books) -> None:
    """Store the alerts of the demo that are not stored yet, and evaluate them, so that there is something to see."""
    existing = {alert["id"] for alert in await list_alerts(books)}
    for id, body in ALERTS.items():
        if id not in existing:
            await put_alert(books, id, body, strict=False)
    await evaluate_alerts(books)


def _batches(events: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(events, _BATCH)):
        yield batch
