"""By what a batch is read: surveys and exchange rates, looked up before its transaction and fixed by their first use."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.books.books import Books
from app.core.errors import EventRejected
from app.database.connection import Connection
from app.ingest import exchange_rates
from app.ingest.define import IncomingEvent
from app.ingest.exchange_rates import ExchangeRate
from app.ingest.fields import MOST_MONEY
from app.ledger import surveys
from app.ledger.posting import build_posting
from app.ledger.surveys import Survey


@dataclass(slots=True)
class References:
    """What a batch is read by: definitions that were looked up before its transaction."""

    surveys: dict[str, Survey]
    rates: dict[str, list[ExchangeRate]]


async def load_references(books: Books, events: Sequence[IncomingEvent]) -> References:
    """The surveys and the exchange rates that events name, as far as there are any."""
    named = {event.data["survey"] for event in events if "survey" in event.data}
    currencies = {event.data["currency"] for event in events if "currency" in event.data} - {books.currency}
    if not named and not currencies:
        return References({}, {})

    async def find(connection: Connection) -> References:
        return References(
            await surveys.load_surveys(connection, named), await exchange_rates.load_rates(connection, currencies)
        )

    return await books.database.read(find)


def resolve_events(
    events: Sequence[IncomingEvent],
    reading: References,
    *,
    books: Books,
    reject: Callable[[int, str, EventRejected], None],
) -> Iterable[IncomingEvent]:
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
            event.record = build_posting(event, event.survey, rate, calendar=books.calendar)
            yield event
        except EventRejected as problem:
            reject(event.index, event.id, problem)


def _check_converted(event: IncomingEvent, rate: ExchangeRate) -> None:
    for name in ("amount", "mrr"):
        if Decimal(event.data.get(name, 0)) * rate.rate >= MOST_MONEY:
            raise EventRejected("money_too_large", "In the base currency, money is below 100 billion.", f"/data/{name}")


def _survey_of(event: IncomingEvent, known: dict[str, Survey]) -> Survey | None:
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


async def freeze_on_first_use(connection: Connection, accepted: Sequence[IncomingEvent]) -> bool:
    """Fix the surveys and rates that are used for the first time; False when one was changed since it was looked up."""
    answered = {event.survey for event in accepted if event.survey is not None and event.type == "survey.responded"}
    first_answered = [survey for survey in answered if not survey.answered]
    first_used = {event.rate for event in accepted if event.rate is not None and not event.rate.used}
    if first_answered and not await surveys.freeze_surveys(connection, first_answered):
        return False
    return not first_used or await exchange_rates.freeze_rates(connection, first_used)
