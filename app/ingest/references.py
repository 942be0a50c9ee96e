"""Resolve what events refer to: surveys and exchange rates, loaded before the transaction and frozen by their first use."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.books.books import Books
from app.core.errors import EventRejected
from app.database.connection import Connection
from app.ingest.exchange_rates import ExchangeRate, freeze_rates, load_rates, rate_on
from app.ingest.fields import MAX_MONEY
from app.ingest.outcome import Rejection, build_rejection
from app.ingest.stages import DatedEvent, IncomingEvent, ResolvedEvent
from app.ledger.posting import build_posting
from app.ledger.surveys import Survey, freeze_surveys, load_surveys


class References(NamedTuple):
    """The surveys by id, and the exchange rates by currency in the order of their days."""

    surveys: Mapping[str, Survey]
    rates: Mapping[str, Sequence[ExchangeRate]]


class ReferenceChanged(Exception):
    """A survey or a rate was changed after it was loaded for the batch."""


async def load_references(books: Books, events: Sequence[IncomingEvent]) -> References:
    """Load the surveys and exchange rates that events refer to; unknown ones are left out.

    Most batches refer to none and need no query.
    """
    survey_ids = {event.data["survey"] for event in events if "survey" in event.data}
    currencies = {event.data["currency"] for event in events if "currency" in event.data} - {books.currency}
    if not survey_ids and not currencies:
        return References({}, {})

    async def load(connection: Connection) -> References:
        return References(await load_surveys(connection, survey_ids), await load_rates(connection, currencies))

    return await books.database.read(load)


def resolve_events(
    incoming: Sequence[IncomingEvent], references: References, *, books: Books
) -> tuple[list[ResolvedEvent], list[Rejection]]:
    """Return the events that fit their references, with what they post, and the rejections of the others."""
    events: list[ResolvedEvent] = []
    rejections: list[Rejection] = []
    for event in incoming:
        try:
            survey = _find_survey(event, references.surveys) if "survey" in event.data else None
            rate = _find_rate(event, references.rates, books=books) if "currency" in event.data else None
            posting = build_posting(event, survey, rate.rate if rate else None, calendar=books.calendar)
            events.append(ResolvedEvent(event, survey, rate, posting))
        except EventRejected as error:
            rejections.append(build_rejection(event.position, event.id, error))
    return events, rejections


def _find_survey(event: IncomingEvent, surveys: Mapping[str, Survey]) -> Survey:
    """Return the survey that an event belongs to. Raises EventRejected, also for a score outside its scale."""
    survey = surveys.get(event.data["survey"])
    if survey is None:
        detail = "Unknown survey. Declare it first, with PUT /v1/surveys/{id}."
        raise EventRejected("unknown_survey", detail, "/data/survey")
    if "score" in event.data and not survey.low <= event.data["score"] <= survey.high:
        detail = f"The score must be from {survey.low} to {survey.high}, the scale of this survey."
        raise EventRejected("score_out_of_range", detail, "/data/score")
    return survey


def _find_rate(
    event: IncomingEvent, rates: Mapping[str, Sequence[ExchangeRate]], *, books: Books
) -> ExchangeRate | None:
    """Return the rate at which an event is converted; None in the base currency. Raises EventRejected."""
    currency = event.data["currency"]
    if currency == books.currency:
        return None
    rate = rate_on(rates.get(currency, ()), books.calendar.day(event.occurred_at))
    for name in ("amount", "mrr"):
        if Decimal(event.data.get(name, 0)) * rate.rate >= MAX_MONEY:
            detail = "The amount must be below 100 billion when converted to the base currency."
            raise EventRejected("money_too_large", detail, f"/data/{name}")
    return rate


async def freeze_on_first_use(connection: Connection, new_events: Sequence[DatedEvent]) -> None:
    """Freeze the surveys and rates that these events are the first to use. Raises ReferenceChanged.

    Surveys come before rates and both in the order of their keys, so that two transactions never deadlock.
    """
    surveys = {
        event.survey
        for event in new_events
        if event.survey is not None and not event.survey.answered and event.incoming.type == "survey.responded"
    }
    rates = {event.rate for event in new_events if event.rate is not None and not event.rate.used}
    if not await freeze_surveys(connection, surveys) or not await freeze_rates(connection, rates):
        raise ReferenceChanged
