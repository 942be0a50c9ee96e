"""What a metric of the model is made of: facts about accounts, and the rows that come of them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from tests.model.events import AcceptedEvent, History

Z = NormalDist().inv_cdf(0.975)
# The subject of a fact that belongs to every subject there is.
EVERY_SUBJECT = object()


class Span(NamedTuple):
    """The days of a period that have come."""

    start: date
    end: date


class Fact(NamedTuple):
    """Something that is said of an account in a period: as what, what, and by which sides it can be told apart."""

    name: str
    what: Any
    subject: Any = None
    channel: str | None = None


Facts = Callable[[History, Span], Iterable[Fact]]
# What is said of the accounts of a group, by name.
FactsByName = Mapping[str, list[Any]]
Row = dict[str, Any]
Formula = Callable[[FactsByName, Span], Row]


class ModelMetric(NamedTuple):
    """What it looks at in an account's history, what it makes of that, and by which sides it can be told apart."""

    facts: Facts
    formula: Formula
    sides: tuple[str, ...] = ()


def events_where(about: Callable[[AcceptedEvent], bool]) -> Facts:
    """The events on days of the period that are such."""

    def facts(history: History, span: Span) -> Iterable[Fact]:
        for kept in history.events:
            if span.start <= kept.day < span.end and about(kept):
                yield Fact("events", kept, kept.subject, kept.data.get("channel"))

    return facts


def has_type(*types: str) -> Callable[[AcceptedEvent], bool]:
    return lambda kept: kept.type in types


def combine(*parts: Facts) -> Facts:
    """All that the parts say."""
    return lambda history, span: (fact for part in parts for fact in part(history, span))


# ---- rows ----


def count(number: int) -> Row:
    return {"value": number, "numerator": None, "denominator": None, "sample_size": number, "interval": None}


def ratio(part: Any, of: int, *, nothing: str, per: int = 1, interval: Any = None) -> Row:
    row = {"value": None, "numerator": part, "denominator": of, "sample_size": of, "interval": None}
    if of == 0:
        return row | {"reason": nothing}
    return row | {"value": Fraction(per * part) / of, "interval": interval(part, of) if interval else None}


def wilson(part: int, of: int) -> list[float]:
    """The shares from which `part` of `of` is just 1.96 standard errors away: (p - x)² = z² x (1 - x) / n, solved for x."""
    p, w = part / of, Z * Z / of
    a, b, c = 1 + w, -(2 * p + w), p * p
    root = sqrt(max(0.0, b * b - 4 * a * c))
    return [100 * (-b - root) / (2 * a), 100 * (-b + root) / (2 * a)]


def wald(promoters: int, detractors: int, of: int) -> list[float]:
    """The mean of scores of 1, 0 and -1, three more than there are (¾, 1½, ¾), and 1.96 of its standard errors around it."""
    weights = {1: promoters + 0.75, 0: of - promoters - detractors + 1.5, -1: detractors + 0.75}
    n = sum(weights.values())
    mean = sum(score * weight for score, weight in weights.items()) / n
    error = sqrt(sum(weight * (score - mean) ** 2 for score, weight in weights.items()) / n / n)
    return [max(-100.0, 100 * (mean - Z * error)), min(100.0, 100 * (mean + Z * error))]


def count_facts(name: str) -> Formula:
    """How many there are."""
    return lambda cell, span: count(len(cell[name]))


def over_events(formula: Callable[[list[AcceptedEvent]], Row]) -> Formula:
    """A formula over the events alone."""
    return lambda cell, span: formula(cell["events"])


def count_events(events: list[AcceptedEvent]) -> Row:
    return count(len(events))
