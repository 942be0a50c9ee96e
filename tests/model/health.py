"""Health by docs/metrics.md and the guide, computed from all events of an account by metrics of the model."""

# ruff: noqa: E501
# The components of the default model are a table.

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from tests.model.events import History
from tests.model.facts import Fact, FactsByName, ModelMetric, Row, Span, count_facts, ratio

DAY = timedelta(days=1)
BEGINNING = date(1970, 1, 1)
# The document of the model that comes with the service, as the guide has it.
DEFAULT_MODEL: dict[str, Any] = {
    "categories": {"usage": 0.6, "adoption": 0.4, "support": 0.3, "voice": 0.25, "revenue": 0.25},
    "components": [
        {"id": "usage", "kind": "baseline", "metric": "active_user_days", "poor": 0, "good": 85, "weight": 30, "category": "usage"},
        {"id": "last_activity", "kind": "days_since", "metric": "active_user_days", "poor": 30, "good": 7, "weight": 10, "category": "usage"},
        {"id": "engagement", "kind": "value", "metric": "product_usage_rate", "poor": 10, "good": 60, "weight": 20, "category": "adoption"},
        {"id": "open_tickets", "kind": "value", "metric": "ticket_backlog", "requires": "support_tickets", "poor": 8, "good": 1, "weight": 10, "category": "support"},
        {"id": "first_response", "kind": "value", "metric": "average_first_response_hours", "poor": 48, "good": 4, "weight": 10, "category": "support"},
        {"id": "last_response", "kind": "last_response", "poor": 50, "good": 90, "weight": 10, "category": "voice"},
        {"id": "revenue", "kind": "change", "metric": "mrr", "window_days": 90, "poor": -25, "good": 5, "weight": 10, "category": "revenue"},
    ],
}  # fmt: skip


class Health(NamedTuple):
    """The health of an account: scores in hundredths of a point, by component the value, the score and the contribution."""

    score: int | None
    coverage: Fraction
    components: dict[str, tuple[Any, int | None, int]]

    @property
    def band(self) -> str | None:
        """Return the band of the score, as the default model divides them."""
        if self.score is None:
            return None
        return "critical" if self.score < 4_000 else "at_risk" if self.score < 7_000 else "healthy"


def health_of(
    history: History, day: date, metrics: Mapping[str, ModelMetric], document: Mapping[str, Any] = DEFAULT_MODEL
) -> Health:
    """Return the health of an account at the end of a day. document: its categories are their caps."""
    components = document["components"]
    values = [_value(component, document.get("window_days", 28), history, day, metrics) for component in components]
    scores = [
        None if value is None else _score(component, value)
        for component, (value, _) in zip(components, values, strict=True)
    ]
    own = [
        Fraction(str(component["weight"])) * factor / 100 if score is not None else Fraction(0)
        for component, (_, factor), score in zip(components, values, scores, strict=True)
    ]
    all_weight = sum(Fraction(str(component["weight"])) for component in components)
    coverage = sum(own, Fraction(0)) / all_weight
    parts = [0] * len(own)
    total = None
    if any(own) and coverage >= Fraction(str(document.get("min_coverage", 0.5))):
        shares = _shares(components, own, document.get("categories", {}))
        exact = [share * (score or 0) for share, score in zip(shares, scores, strict=True)]
        total = floor(sum(exact) + Fraction(1, 2))
        parts = _divide(exact, total)
    by_id = {c["id"]: (v, s, p) for c, (v, _), s, p in zip(components, values, scores, parts, strict=True)}
    return Health(total, coverage, by_id)


def _score(component: Mapping[str, Any], value: Any) -> int | None:
    if value is None:
        return None
    poor, good = Fraction(str(component["poor"])), Fraction(str(component["good"]))
    way = (Fraction(value) - poor) / (good - poor)
    return floor(10_000 * min(Fraction(1), max(Fraction(0), way)) + Fraction(1, 2))


def _shares(
    components: Sequence[Mapping[str, Any]], own: Sequence[Fraction], caps: Mapping[str, float]
) -> list[Fraction]:
    """Return the shares of components: those that reach their cap first, as all grow alike, stop there."""
    names = [component.get("category") or component["id"] + "/" for component in components]
    weights: dict[str, Fraction] = defaultdict(Fraction)
    for name, weight in zip(names, own, strict=True):
        if weight:
            weights[name] += weight
    cap = {name: Fraction(str(caps.get(name, 1))) for name in weights}
    in_order = sorted(weights, key=lambda name: cap[name] / weights[name])
    for number in range(len(in_order)):
        full, free = in_order[:number], in_order[number:]
        growth = (1 - sum(cap[name] for name in full)) / sum(weights[name] for name in free)
        if growth <= cap[free[0]] / weights[free[0]]:
            of_name = {name: cap[name] if name in full else growth * weights[name] for name in weights}
            break
    else:
        of_name = {name: cap[name] / sum(cap.values()) for name in weights}
    return [
        of_name[name] * weight / weights[name] if weight else Fraction(0)
        for name, weight in zip(names, own, strict=True)
    ]


def _divide(exact: Sequence[Fraction], total: int) -> list[int]:
    parts = [floor(part) for part in exact]
    remainders = sorted(((part - floor(part), -number) for number, part in enumerate(exact)), reverse=True)
    for _, number in remainders[: total - sum(parts)]:
        parts[-number] += 1
    return parts


def _value(
    component: Mapping[str, Any], window_days: int, history: History, day: date, metrics: Mapping[str, ModelMetric]
) -> tuple[Any, int]:
    """Return the value of a component, None without data, and the percentage of its weight that it has."""
    end = day + DAY
    window_days = component.get("window_days", window_days)

    def value_in(start: date, stop: date, name: str | None = None) -> Any:
        return metric_value(metrics[name or component["metric"]], history, Span(start, stop))

    if component["kind"] == "value":
        if "requires" in component and not value_in(BEGINNING, end, component["requires"]):
            return None, 100
        return value_in(end - window_days * DAY, end), 100
    if component["kind"] == "change":
        before = value_in(end - 2 * window_days * DAY, end - window_days * DAY)
        now = value_in(end - window_days * DAY, end)
        if before is None or now is None or (component.get("change_in", "percent") == "percent" and not before):
            return None, 100
        return (
            now - before if component.get("change_in") == "points" else 100 * Fraction(now - before) / abs(before)
        ), 100
    if component["kind"] == "baseline":
        weeks = [value_in(end - 7 * (n + 1) * DAY, end - 7 * n * DAY) or 0 for n in range(12)]
        return _baseline(weeks), 100
    if component["kind"] == "days_since":
        days = sorted(on for _, on in history.people.active_days(BEGINNING, end))
        return ((day - days[-1]).days if days else None), 100
    return _last_response(history, day)


def metric_value(metric: ModelMetric, history: History, span: Span) -> Any:
    """Return the value of a metric of one account."""
    facts: dict[str, list[Any]] = defaultdict(list)
    for fact in metric.facts(history, span):
        if fact.value:
            facts[fact.name].append(fact.value)
    return metric.formula(facts, span)["value"]


def _baseline(weeks: Sequence[Any]) -> Fraction | None:
    """Return the mean of three weeks in percent of the median of eight, with a week between; the latest week comes first."""
    older = list(weeks[4:])
    while older and not older[-1]:
        older.pop()
    if len(older) < 3:
        return None
    in_order = sorted(older)
    middle = len(older) // 2
    usual = in_order[middle] if len(older) % 2 else Fraction(in_order[middle - 1] + in_order[middle], 2)
    usual = usual or Fraction(sum(older), len(older))
    return 100 * Fraction(sum(weeks[:3]), 3) / usual


def _last_response(history: History, day: date) -> tuple[Any, int]:
    responses = [
        event
        for event in history.events
        if event.type == "survey.responded" and event.survey.kind in ("nps", "csat") and event.day <= day
    ]
    if not responses or (age := (day - max(event.day for event in responses)).days) >= 365:
        return None, 0
    latest = [event for event in responses if (day - event.day).days == age]
    goodness = [
        Fraction(event.data["score"] - event.survey.low, event.survey.high - event.survey.low) for event in latest
    ]
    factor = 100 if age <= 90 else -floor(-Fraction(100 * (365 - age), 275))
    return 100 * sum(goodness) / len(goodness), factor


def health_metrics(metrics: Mapping[str, ModelMetric]) -> dict[str, ModelMetric]:
    """Return the metrics of health, which are computed by the others."""

    def healths(history: History, span: Span) -> Iterable[Health]:
        if span.start < span.end and metric_value(metrics["customers"], history, Span(span.end, span.end)):
            yield health_of(history, span.end - DAY, metrics)

    def scores(history: History, span: Span) -> Iterable[Fact]:
        # A fact that is false would not count, and a score may be 0.
        return (Fact("scores", (own.score,)) for own in healths(history, span) if own.score is not None)

    def bands(history: History, span: Span) -> Iterable[Fact]:
        return (Fact("accounts", own, own.band) for own in healths(history, span) if own.score is not None)

    def mean(facts: FactsByName, span: Span) -> Row:
        return ratio(
            sum(Fraction(score, 100) for (score,) in facts["scores"]), len(facts["scores"]), if_empty="no_scores"
        )

    return {
        "health_score": ModelMetric(scores, mean),
        "accounts_by_band": ModelMetric(bands, count_facts("accounts"), ("subject",)),
    }
