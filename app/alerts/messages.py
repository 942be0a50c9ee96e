"""The messages of alerts, and the numbers in them, as the topics of webhooks declare them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.accounts.cards import overview_link
from app.alerts.definition import CHANGE, AlertDefinition, to_number
from app.alerts.hysteresis import TRIGGERED, AlertPoint, Transition
from app.books.books import Books
from app.core.periods import Period
from app.metrics.currencies import format_amount
from app.metrics.number_source import NumberSource
from app.metrics.offers import Message
from app.metrics.results import Result
from app.metrics.rows import round_number

TRIGGERED_TOPIC, RESOLVED_TOPIC = "alert.triggered", "alert.resolved"
_NOTHING = Result(None, reason="no_data")


def number_json(
    source: NumberSource, period: Period, result: Result, previous: Result | None, *, currency: str, account: str = ""
) -> dict[str, Any]:
    """Return a number as messages have it. account: its id, of a number of one account."""
    metric = source.find_metric()
    interval = {} if result.interval is None else {"interval": [*map(round_number, result.interval)]}
    reason = {"reason": result.reason} if result.value is None and result.reason else {}
    amount = {}
    if metric is not None and metric.unit == "money" and result.amount is not None:
        amount = {"amount": format_amount(result.amount, currency)}
    return {
        "metric": source.metric,
        "convention": metric.convention if metric else source.convention,
        "group": source.group.as_json() | ({"account": account} if account else {}),
        "granularity": source.granularity,
        **period_json(period),
        "value": round_number(result.value),
        "previous": round_number(previous.value) if previous else None,
        **amount,
        "proof": {
            "numerator": round_number(result.numerator),
            "denominator": round_number(result.denominator),
            "sample_size": result.sample_size,
            **interval,
            **reason,
        },
    }


def period_json(period: Period) -> dict[str, Any]:
    """Return a period as numbers in messages have it."""
    days = {"start": period.start.isoformat(), "end": period.end.isoformat()}
    return {"period": period.name, **days, "complete": period.complete}


def point_json(definition: AlertDefinition, point: AlertPoint, books: Books, account: str) -> dict[str, Any]:
    """Return the number of a period as messages have it."""
    result = point.result or _NOTHING
    return number_json(definition, point.period, result, point.previous, currency=books.currency, account=account)


def sentence_of(definition: AlertDefinition, transition: Transition, account: str) -> str:
    """Return what has happened, for people."""
    point = transition.point
    number = point.number(definition)
    name = f"{definition.metric}{_of(definition, account)}"
    if number is None or point.result is None or point.result.value is None:
        return f"{name} has no value any more in {point.period.name}."
    text = f"{name} is {_format(round_number(point.result.value))} in {point.period.name}"
    no_longer = "" if transition.kind == TRIGGERED else "no longer "
    if definition.kind != CHANGE:
        return f"{text}, {no_longer}{definition.kind} {_format(to_number(definition.threshold))}."
    previous = _format(round_number(point.previous.value)) if point.previous else ""
    direction = "more" if number >= 0 else "less"
    change = f"{_format(round_number(abs(float(round(number, 1)))))}% {direction} than {previous} before"
    limit = f"{_format(to_number(abs(definition.threshold)))}% {'less' if definition.threshold < 0 else 'more'}"
    return f"{text}, {change}." if transition.kind == TRIGGERED else f"{text}, {change}, no longer {limit}."


def _of(definition: AlertDefinition, account: str) -> str:
    """Return what the number is about, as a part of a sentence."""
    group = definition.group
    names = [account, group.subject, group.channel, group.segment]
    text = "".join(f" of {name}" for name in names if name)
    return f"{text} where {group.filter}" if group.filter else text


def _format(number: Any) -> str:
    """Return a number for people."""
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number or 0)
    return f"{exact.normalize():f}".replace("-", "−")


def build_message(
    id: str,
    definition: AlertDefinition,
    transition: Transition,
    *,
    books: Books,
    account: str,
    card: Mapping[str, Any] | None,
    triggered_at: datetime,
    at: datetime,
) -> Message:
    """Return the message of a transition. card: of the account, of an alert on each account."""
    number = point_json(definition, transition.point, books, account)
    return message_of(
        id,
        definition,
        transition.kind,
        number=number,
        sentence=sentence_of(definition, transition, account),
        links=links_of(definition, transition.point.period, books, account),
        card=card,
        triggered_at=triggered_at,
        at=at,
    )


def message_of(
    id: str,
    definition: AlertDefinition,
    kind: str,
    *,
    number: Mapping[str, Any],
    sentence: str,
    links: Mapping[str, str],
    card: Mapping[str, Any] | None,
    triggered_at: datetime,
    at: datetime,
) -> Message:
    """Return the message that an alert has triggered or resolved."""
    data = {
        "alert": id,
        **({"account": card} if card else {}),
        "condition": definition.condition_json(),
        "number": number,
        "sentence": sentence,
        "triggered_at": triggered_at.astimezone(UTC),
        **({} if kind == TRIGGERED else {"resolved_at": at.astimezone(UTC)}),
        "links": links,
    }
    return Message(TRIGGERED_TOPIC if kind == TRIGGERED else RESOLVED_TOPIC, data)


def links_of(source: NumberSource, period: Period, books: Books, account: str = "") -> dict[str, str]:
    """Return where to look at a number."""
    question = f"{books.public_url}{source.question_path(period, account=account or None)}"
    own = {"account": overview_link(books.public_url, account)} if account else {}
    return own | {"question": question}
