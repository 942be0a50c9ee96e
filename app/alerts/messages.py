"""The messages of alerts, and the numbers in them, as the topics of webhooks declare them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.accounts.cards import overview_link
from app.alerts.definition import CHANGE, AlertDefinition, to_number
from app.alerts.hysteresis import TRIGGERED, AlertPoint, Transition
from app.books.books import Books
from app.core.periods import Period
from app.metrics.currencies import format_amount
from app.metrics.define import Metric
from app.metrics.number_source import NumberSource
from app.metrics.offers import Message
from app.metrics.phrases import in_unit, percent
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


def _sentence(definition: AlertDefinition, transition: Transition, account: str, *, currency: str) -> str:
    """Return what has happened, for people. account: its name, of an alert on each account."""
    point, metric = transition.point, definition.find_metric()
    name = definition.title_of(account)
    compared, result, previous = point.number(definition), point.result, point.previous
    if metric is None or compared is None or result is None or result.value is None:
        return f"{name} no longer has a value in {point.period.name}."
    threshold = to_number(definition.threshold)
    no_longer = "" if transition.kind == TRIGGERED else "no longer "
    if definition.kind != CHANGE:
        value, limit = _in_unit(metric, currency, result.value, threshold)
        return f"{name} is {value} in {point.period.name}, {no_longer}{definition.kind} {limit}."
    value, earlier = _in_unit(metric, currency, result.value, (previous.value if previous else None) or 0)
    change = f"{percent(abs(compared))} {'more' if compared >= 0 else 'less'} than {earlier} before"
    text = f"{name} is {value} in {point.period.name}, {change}"
    limit = f"{percent(abs(threshold))} {'less' if threshold < 0 else 'more'}"
    return f"{text}." if transition.kind == TRIGGERED else f"{text}, no longer {limit}."


def _in_unit(metric: Metric, currency: str, *values: int | float) -> list[str]:
    return [in_unit(own, metric.unit, currency, beside=values) for own in values]


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
    name = card["name"] if card else None
    return message_of(
        id,
        definition,
        transition.kind,
        number=number,
        sentence=_sentence(definition, transition, name or account, currency=books.currency),
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
