"""By what a batch is read: surveys and exchange rates, looked up before its transaction and fixed by their first use."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.books.books import Books
from app.core.errors import EventRejected
from app.database.connection import Connection
from app.ingest import exchange_rates
from app.ingest.define import Event
from app.ingest.exchange_rates import Rate
from app.ingest.fields import MOST_MONEY
from app.ledger import surveys
from app.ledger.posting import record_of
from app.ledger.surveys import Survey


@dataclass(slots=True)
class Reading:
    """What a batch is read by: definitions that were looked up before its transaction."""

    surveys: dict[str, Survey]
    rates: dict[str, list[Rate]]


async def look_up(books: Books, events: Sequence[Event]) -> Reading:
    """The surveys and the exchange rates that events name, as far as there are any."""
    named = {event.data["survey"] for event in events if "survey" in event.data}
    currencies = {event.data["currency"] for event in events if "currency" in event.data} - {books.currency}
    if not named and not currencies:
        return Reading({}, {})

    async def find(connection: Connection) -> Reading:
        return Reading(await surveys.find(connection, named), await exchange_rates.find(connection, currencies))

    return await books.database.read(find)


def sensible(
    events: Sequence[Event], reading: Reading, *, books: Books, reject: Callable[[int, str, EventRejected], None]
) -> Iterable[Event]:
    """The events that their survey and their currency allow, with what they post."""
    for event in events:
        try:
            event.survey = _survey_of(event, reading.surveys)
            currency = event.data.get("currency", books.currency)
            if currency != books.currency:
                event.rate = exchange_rates.rate_on(
                    reading.rates.get(currency, ()), books.calendar.day(event.occurred_at)
                )
                _check_converted(event, event.rate)
            rate = event.rate.rate if event.rate else None
            event.record = record_of(event, event.survey, rate, calendar=books.calendar)
            yield event
        except EventRejected as problem:
            reject(event.index, event.id, problem)


def _check_converted(event: Event, rate: Rate) -> None:
    for name in ("amount", "mrr"):
        if Decimal(event.data.get(name, 0)) * rate.rate >= MOST_MONEY:
            raise EventRejected("money_too_large", "In the base currency, money is below 100 billion.", f"/data/{name}")


def _survey_of(event: Event, known: dict[str, Survey]) -> Survey | None:
    if "survey" not in event.data:
        return None
    survey = known.get(event.data["survey"])
    if survey is None:
        raise EventRejected(
            "unknown_survey", "There is no such survey; declare it with PUT /v1/surveys/{id}.", "/data/survey"
        )
    if "score" in event.data and not survey.low <= event.data["score"] <= survey.high:
        detail = f"The survey's scores are {survey.low} to {survey.high}."
        raise EventRejected("score_out_of_range", detail, "/data/score")
    return survey


async def fix(connection: Connection, accepted: Sequence[Event]) -> bool:
    """Fix the surveys and rates that are used for the first time; False when one was changed since it was looked up."""
    answered = {event.survey for event in accepted if event.survey is not None and event.type == "survey.responded"}
    first_answered = [survey for survey in answered if not survey.answered]
    first_used = {event.rate for event in accepted if event.rate is not None and not event.rate.used}
    if first_answered and not await surveys.fix(connection, first_answered):
        return False
    return not first_used or await exchange_rates.fix(connection, first_used)
