"""What METRICS.md says of the events in a row, worked out from all of them; shares nothing with the service."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

Z = NormalDist().inv_cdf(0.975)


class Survey(NamedTuple):
    kind: str
    low: int
    high: int
    satisfied_from: int | None = None
    easy_is: str | None = None


SURVEYS = {"nps": Survey("nps", 0, 10), "csat": Survey("csat", 1, 5, satisfied_from=4)}


@dataclass
class Kept:
    """An event that was accepted, with the day it is true of and the days on which it became known and was taken back."""

    event: dict[str, Any]
    at: datetime
    day: date
    recorded_on: date
    retracted_on: date | None = None
    survey: Survey | None = None

    @property
    def type(self) -> str:
        return self.event["type"]

    @property
    def data(self) -> dict[str, Any]:
        return self.event["data"]

    @property
    def subject(self) -> str | None:
        return self.data.get("survey") or self.data.get("feature")


def _count(number: int) -> dict[str, Any]:
    return {"value": number, "numerator": None, "denominator": None, "sample_size": number, "interval": None}


def _ratio(part: Any, of: int, *, nothing: str, per: int = 1, interval: Any = None) -> dict[str, Any]:
    row = {"value": None, "numerator": part, "denominator": of, "sample_size": of, "interval": None}
    if of == 0:
        return row | {"reason": nothing}
    return row | {"value": Fraction(per * part) / of, "interval": interval(part, of) if interval else None}


def _wilson(part: int, of: int) -> list[float]:
    """The shares from which `part` of `of` is just 1.96 standard errors away: (p - x)² = z² x (1 - x) / n, solved for x."""
    p, w = part / of, Z * Z / of
    a, b, c = 1 + w, -(2 * p + w), p * p
    root = sqrt(max(0.0, b * b - 4 * a * c))
    return [100 * (-b - root) / (2 * a), 100 * (-b + root) / (2 * a)]


def _wald(promoters: int, detractors: int, of: int) -> list[float]:
    """The mean of scores of 1, 0 and -1, three more than there are (¾, 1½, ¾), and 1.96 of its standard errors around it."""
    weights = {1: promoters + 0.75, 0: of - promoters - detractors + 1.5, -1: detractors + 0.75}
    n = sum(weights.values())
    mean = sum(score * weight for score, weight in weights.items()) / n
    error = sqrt(sum(weight * (score - mean) ** 2 for score, weight in weights.items()) / n / n)
    return [max(-100.0, 100 * (mean - Z * error)), min(100.0, 100 * (mean + Z * error))]


def _nps(answers: list[Kept]) -> dict[str, Any]:
    promoters = sum(1 for answer in answers if answer.data["score"] in (9, 10))
    detractors = sum(1 for answer in answers if answer.data["score"] in range(7))
    row = _ratio(promoters - detractors, len(answers), per=100, nothing="no_responses")
    return row | ({"interval": _wald(promoters, detractors, len(answers))} if answers else {})


def _share(part: int, of: int) -> dict[str, Any]:
    return _ratio(part, of, per=100, nothing="no_responses", interval=_wilson)


def _csat(answers: list[Kept]) -> dict[str, Any]:
    return _share(sum(1 for a in answers if a.data["score"] >= a.survey.satisfied_from), len(answers))


def _easy(answers: list[Kept]) -> dict[str, Any]:
    easy = 0
    for answer in answers:
        above_middle = answer.data["score"] - Fraction(answer.survey.low + answer.survey.high, 2)
        easy += above_middle < 0 if answer.survey.easy_is == "low" else above_middle > 0
    return _share(easy, len(answers))


def _average(answers: list[Kept]) -> dict[str, Any]:
    row = _ratio(sum(answer.data["score"] for answer in answers), len(answers), nothing="no_responses")
    if len({(answer.survey.low, answer.survey.high, answer.survey.easy_is) for answer in answers}) > 1:
        return row | {"value": None, "reason": "mixed_scales"}
    return row


def _minutes(sessions: list[Kept]) -> dict[str, Any]:
    seconds = sum(session.data["duration_seconds"] for session in sessions)
    return _ratio(Fraction(seconds, 60), len(sessions), nothing="no_sessions")


def _responses_per_invitation(events: list[Kept]) -> dict[str, Any]:
    responses = sum(1 for kept in events if kept.type == "survey.responded")
    return _ratio(responses, len(events) - responses, per=100, nothing="no_invitations")


def _is(*types: str) -> Callable[[Kept], bool]:
    return lambda kept: kept.type in types


def _answers(kind: str) -> Callable[[Kept], bool]:
    return lambda kept: kept.type == "survey.responded" and kept.survey is not None and kept.survey.kind == kind


class Metric(NamedTuple):
    """Which events it is about, what it says of some of them, and by which of their sides they can be told apart."""

    about: Callable[[Kept], bool]
    formula: Callable[[list[Kept]], dict[str, Any]]
    sides: tuple[str, ...] = ("subject", "channel")


METRICS = {
    "sessions": Metric(_is("session.ended"), lambda events: _count(len(events)), ()),
    "average_session_minutes": Metric(_is("session.ended"), _minutes, ()),
    "feature_uses": Metric(
        _is("feature.used"), lambda events: _count(sum(kept.data.get("count", 1) for kept in events)), ("subject",)
    ),
    "support_tickets": Metric(_is("ticket.opened"), lambda events: _count(len(events)), ("channel",)),
    "nps": Metric(_answers("nps"), _nps),
    "csat": Metric(_answers("csat"), _csat),
    "csat_average": Metric(_answers("csat"), _average),
    "ces": Metric(_answers("ces"), _average),
    "ces_easy_rate": Metric(_answers("ces"), _easy),
    "survey_responses": Metric(_is("survey.responded"), lambda events: _count(len(events))),
    "survey_response_rate": Metric(_is("survey.responded", "survey.sent"), _responses_per_invitation),
    "feedback_comments": Metric(
        lambda kept: kept.type in ("survey.responded", "feedback.received") and bool(kept.data.get("comment")),
        lambda events: _count(len(events)),
    ),
}
