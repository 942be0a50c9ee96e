"""Resolve what events refer to: surveys and exchange rates, loaded before the transaction and frozen by their first use."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.errors import EventRejected
from app.core.names import NearestNames
from app.database.connection import Connection
from app.ingest.define import EVENT_TYPES
from app.ingest.exchange_rates import ExchangeRate, freeze_rates, load_rates, rate_on
from app.ingest.fields import MAX_MONEY
from app.ingest.outcome import Rejection, build_rejection
from app.ingest.stages import DatedEvent, IncomingEvent, InvalidEvent, ResolvedEvent
from app.ledger.posting import build_posting
from app.ledger.surveys import Survey, freeze_surveys, load_surveys, unknown_survey


class References(NamedTuple):
    """The surveys by id, and the exchange rates by currency in the order of their days.

    survey_ids: of all surveys, where events refer to one that does not exist.
    """

    surveys: Mapping[str, Survey]
    rates: Mapping[str, Sequence[ExchangeRate]]
    survey_ids: Sequence[str] = ()


class ReferenceChanged(Exception):
    """A survey or a rate was changed after it was loaded for the batch."""


async def load_references(
    books: Books, events: Sequence[IncomingEvent], invalid: Sequence[InvalidEvent] = ()
) -> References:
    """Load the surveys and exchange rates that events refer to; unknown ones are left out.

    Most batches refer to none and need no query.
    """
    data = [event.data for event in events] + [event.fields.get("data", {}) for event in invalid]
    survey_ids = {fields["survey"] for fields in data if isinstance(fields.get("survey"), str)}
    currencies = {fields["currency"] for fields in data if isinstance(fields.get("currency"), str)} - {books.currency}
    if not survey_ids and not currencies:
        return References({}, {})

    async def load(connection: Connection) -> References:
        surveys = await load_surveys(connection, survey_ids)
        all_ids = [] if surveys.keys() == survey_ids else [*await load_surveys(connection)]
        return References(surveys, await load_rates(connection, currencies), all_ids)

    return await books.database.read(load)


def resolve_events(
    incoming: Sequence[IncomingEvent], references: References, *, books: Books
) -> tuple[list[ResolvedEvent], list[Rejection]]:
    """Return the events that fit their references, with what they post, and the rejections of the others."""
    events: list[ResolvedEvent] = []
    rejections: list[Rejection] = []
    nearest = NearestNames()
    for event in incoming:
        try:
            survey = _find_survey(event.data, references, nearest) if "survey" in event.data else None
            rate = _find_rate(event.data, event.occurred_at, references, books) if "currency" in event.data else None
            posting = build_posting(event, survey, rate.rate if rate else None, calendar=books.calendar)
            events.append(ResolvedEvent(event, survey, rate, posting))
        except EventRejected as error:
            rejections.append(build_rejection(event.position, event.id, error))
    return events, rejections


def reject_invalid(invalid: Sequence[InvalidEvent], references: References, *, books: Books) -> list[Rejection]:
    """Return the rejections of invalid events, to whose faults those of their references are added."""
    nearest = NearestNames()
    rejections: list[Rejection] = []
    for position, id, fields, faults, more_faults in invalid:
        data, rejection = fields.get("data", {}), EventRejected.of(faults)
        try:
            # Only data that was validated can refer to anything: that of an unknown type was not.
            if fields.get("type") in EVENT_TYPES and "survey" in data:
                _find_survey(data, references, nearest)
            elif fields.get("type") in EVENT_TYPES and "currency" in data and "occurred_at" in fields:
                _find_rate(data, fields["occurred_at"], references, books)
        except EventRejected as error:
            rejection.faults += error.faults
        rejections.append(build_rejection(position, id, rejection, more_faults=more_faults))
    return rejections


def _find_survey(data: Mapping[str, Any], references: References, nearest: NearestNames) -> Survey:
    """Return the survey that an event belongs to. Raises EventRejected, also for a score outside its scale."""
    id = data["survey"]
    survey = references.surveys.get(id)
    if survey is None:
        similar = nearest.find(id, references.survey_ids)
        advice = "GET /v1/surveys lists all surveys, PUT /v1/surveys/{id} declares one."
        fault = unknown_survey(id, similar, "/data/survey", advice=advice)
        raise EventRejected.of([fault])
    if "score" in data and not survey.low <= data["score"] <= survey.high:
        detail = f"The score must be from {survey.low} to {survey.high}, the scale of this survey."
        raise EventRejected("score_out_of_range", detail, "/data/score")
    return survey


def _find_rate(
    data: Mapping[str, Any], occurred_at: datetime, references: References, books: Books
) -> ExchangeRate | None:
    """Return the rate at which an event is converted; None in the base currency. Raises EventRejected."""
    currency = data["currency"]
    if currency == books.currency:
        return None
    rate = rate_on(references.rates.get(currency, ()), books.calendar.day(occurred_at), currency=currency)
    for name in ("amount", "mrr"):
        if Decimal(data.get(name, 0)) * rate.rate >= MAX_MONEY:
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
