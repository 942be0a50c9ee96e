"""The parts of the model's metrics: facts about accounts, and the rows that are computed from them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from tests.model.events import AcceptedEvent, History

Z = NormalDist().inv_cdf(0.975)
# The subject of a fact that belongs to every subject of the answer.
EVERY_SUBJECT = object()


class Span(NamedTuple):
    """The days `[start, end)` of a period that have come."""

    start: date
    end: date


class Fact(NamedTuple):
    """A fact about an account in a period. A fact whose value is false counts nothing."""

    name: str
    value: Any
    subject: Any = None
    channel: str | None = None


Facts = Callable[[History, Span], Iterable[Fact]]
# The values of the facts about the accounts of a group, by the name of the fact.
FactsByName = Mapping[str, list[Any]]
Row = dict[str, Any]
Formula = Callable[[FactsByName, Span], Row]


class ModelMetric(NamedTuple):
    """The facts that a metric needs, its formula, and by what it can be broken down: `subject`, `channel`."""

    facts: Facts
    formula: Formula
    sides: tuple[str, ...] = ()


def events_where(condition: Callable[[AcceptedEvent], bool]) -> Facts:
    """Return the facts `events`: the events of the period that satisfy a condition."""

    def facts(history: History, span: Span) -> Iterable[Fact]:
        for event in history.events:
            if span.start <= event.day < span.end and condition(event):
                yield Fact("events", event, event.subject, event.data.get("channel"))

    return facts


def has_type(*types: str) -> Callable[[AcceptedEvent], bool]:
    return lambda event: event.type in types


def combine(*parts: Facts) -> Facts:
    """Return the facts of all parts."""
    return lambda history, span: (fact for part in parts for fact in part(history, span))


# ---- rows ----


def count(number: int) -> Row:
    return {"value": number, "numerator": None, "denominator": None, "sample_size": number, "interval": None}


def ratio(part: Any, of: int, *, if_empty: str, per: int = 1, interval: Any = None) -> Row:
    """Return the row of `per` × part / of. if_empty: the reason when `of` is 0."""
    row = {"value": None, "numerator": part, "denominator": of, "sample_size": of, "interval": None}
    if of == 0:
        return row | {"reason": if_empty}
    return row | {"value": Fraction(per * part) / of, "interval": interval(part, of) if interval else None}


def wilson(part: int, of: int) -> list[float]:
    """Return the shares from which `part` of `of` is 1.96 standard errors away: (p - x)² = z² x (1 - x) / n, solved for x."""
    p, w = part / of, Z * Z / of
    a, b, c = 1 + w, -(2 * p + w), p * p
    root = sqrt(max(0.0, b * b - 4 * a * c))
    return [100 * (-b - root) / (2 * a), 100 * (-b + root) / (2 * a)]


def wald(promoters: int, detractors: int, of: int) -> list[float]:
    """Return the mean of scores 1, 0 and -1 ± 1.96 standard errors, with three scores added: ¾ of 1, 1½ of 0, ¾ of -1."""
    weights = {1: promoters + 0.75, 0: of - promoters - detractors + 1.5, -1: detractors + 0.75}
    n = sum(weights.values())
    mean = sum(score * weight for score, weight in weights.items()) / n
    error = sqrt(sum(weight * (score - mean) ** 2 for score, weight in weights.items()) / n / n)
    return [max(-100.0, 100 * (mean - Z * error)), min(100.0, 100 * (mean + Z * error))]


def count_facts(name: str) -> Formula:
    """Return the formula that counts the facts of a name."""
    return lambda facts, span: count(len(facts[name]))


def over_events(formula: Callable[[list[AcceptedEvent]], Row]) -> Formula:
    """Return a formula over nothing but events; see `events_where`."""
    return lambda facts, span: formula(facts["events"])


def count_events(events: list[AcceptedEvent]) -> Row:
    return count(len(events))
