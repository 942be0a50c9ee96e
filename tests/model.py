"""The books a second time, in plain Python: the events that came, and answers worked out by going through all of them.

Written from METRICS.md alone. It has nothing in common with the service but how events and questions are spelled, so that
the two can be held against each other. Slow and simple on purpose.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import product
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
Z = NormalDist().inv_cdf(0.975)
OF_EVENTS = ("account", "segment", "subject", "channel")


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


class Where(NamedTuple):
    """A filter: how it is spelled, and whether it holds for an account, whose attributes the function looks up."""

    text: str
    holds: Callable[[Callable[[str], Any]], bool]


# ---- formulas: what a row says of the events in it ----


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


class Calendar:
    """Days and their units, found by looking at one day after the other."""

    def __init__(self, zone: str = "UTC", fiscal_year_start: int = 1) -> None:
        self.zone = ZoneInfo(zone)
        self.fiscal_year_start = fiscal_year_start
        for slow in ("midnight", "unit", "first", "past", "named"):
            setattr(self, slow, cache(getattr(self, slow)))

    def day(self, at: datetime) -> date:
        return at.astimezone(UTC).astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """The first minute of the day, by halving two days of minutes around it."""
        early = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
        first, last = 0, 2 * 24 * 60
        while first < last:
            middle = (first + last) // 2
            if self.day(early + timedelta(minutes=middle)) >= day:
                last = middle
            else:
                first = middle + 1
        return early + timedelta(minutes=first)

    def unit(self, day: date, granularity: str) -> str:
        """The name of the unit that the day is in."""
        fiscal = day.year + (1 < self.fiscal_year_start <= day.month)
        week = day.isocalendar()
        return {
            "day": f"{day}",
            "week": f"{week.year}-W{week.week:02}",
            "month": f"{day:%Y-%m}",
            "quarter": f"{fiscal}-Q{(day.month - self.fiscal_year_start) % 12 // 3 + 1}",
            "year": f"{fiscal}",
            "total": "total",
        }[granularity]

    def first(self, day: date, granularity: str) -> date:
        while self.unit(day - DAY, granularity) == self.unit(day, granularity):
            day -= DAY
        return day

    def past(self, day: date, granularity: str) -> date:
        """The day after the unit's last."""
        unit = self.unit(day, granularity)
        while self.unit(day, granularity) == unit:
            day += DAY
        return day

    def named(self, text: str | None, today: date) -> tuple[date, date]:
        if text is None:
            return self.named("last_12_months", today)[0], self.past(today, "month")
        words = text.split("_")
        if text in ("today", "yesterday"):
            day = today if text == "today" else today - DAY
            return day, day + DAY
        if text.endswith("_to_date"):
            return self.first(today, words[0]), today + DAY
        if words[0] == "this":
            return self.first(today, words[1]), self.past(today, words[1])
        if words[0] == "last":
            granularity, many = (words[1], 1) if len(words) == 2 else (words[2].removesuffix("s"), int(words[1]))
            start = end = self.first(today, granularity)
            for _ in range(many):
                start = self.first(start - DAY, granularity)
            return start, end
        day = date(int(text[:4]) - 1, 1, 1)
        while text not in (self.unit(day, g) for g in ("year", "quarter", "month", "week", "day")):
            day += DAY
        granularity = next(g for g in ("year", "quarter", "month", "week", "day") if self.unit(day, g) == text)
        return day, self.past(day, granularity)


class Period(NamedTuple):
    name: str
    start: date
    end: date


class Model:
    """Everything that came, and the rows of any question about it. `now` is its clock."""

    def __init__(self, calendar: Calendar, surveys: dict[str, Survey] | None = None) -> None:
        self.calendar = calendar
        self.surveys = SURVEYS | (surveys or {})
        self.now = datetime(2026, 3, 15, 12, tzinfo=UTC)
        self.events: dict[tuple[str, str], Kept] = {}
        self.last: dict[str, date] = {}
        self.segments: dict[str, list[tuple[date, Where | None]]] = defaultdict(list)
        self._changes: dict[Any, Any] = {}

    @property
    def today(self) -> date:
        return self.calendar.day(self.now)

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Take a batch: how many were accepted and were duplicates, and index and code of those rejected."""
        self._changes.clear()
        accepted = duplicates = 0
        rejected: list[tuple[int, str]] = []
        last = dict(self.last)
        sound = [event for event in events if not self._fault(event)]
        own_day = {event["account_id"] for event in sound if "known_at" in event}
        for event in sound:
            if event["account_id"] not in own_day:
                self._close(event["account_id"], self.today)
        for index, event in enumerate(events):
            account, at = event["account_id"], datetime.fromisoformat(event["occurred_at"])
            known = date.fromisoformat(event["known_at"]) if "known_at" in event else None
            before = self.events.get((account, event["id"]))
            if fault := self._fault(event):
                rejected.append((index, fault))
            elif before and _content(before.event) == _content(event):
                duplicates += 1
            elif before:
                rejected.append((index, "conflict"))
            elif known and known < last.get(account, known):
                rejected.append((index, "known_before_last"))
            else:
                accepted += 1
                recorded = known or max(self.today, last.get(account, self.today))
                survey = self.surveys[event["data"]["survey"]] if "survey" in event["data"] else None
                kept = Kept(event, at, self.calendar.day(at), recorded, survey=survey)
                self.events[account, event["id"]] = kept
                self._close(account, recorded)
        return {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}

    def _fault(self, event: dict[str, Any]) -> str | None:
        if datetime.fromisoformat(event["occurred_at"]) > self.now + DAY:
            return "in_the_future"
        if "known_at" in event and date.fromisoformat(event["known_at"]) > self.today:
            return "in_the_future"
        survey = self.surveys.get(event["data"].get("survey", "nps"))
        if survey is None:
            return "unknown_survey"
        score = event["data"].get("score", survey.low)
        return None if survey.low <= score <= survey.high else "score_out_of_range"

    def _close(self, account: str, day: date) -> None:
        self.last[account] = max(day, self.last.get(account, day))

    def retract(self, account: str, id: str) -> None:
        self._changes.clear()
        self._close(account, self.today)
        kept = self.events[account, id]
        kept.retracted_on = kept.retracted_on or self.last[account]

    def define(self, name: str, where: Where | None) -> None:
        """A stored segment from today on; None ends it."""
        self.segments[name] = [said for said in self.segments[name] if said[0] != self.today] + [(self.today, where)]

    def rows(
        self,
        metric: str,
        *,
        start: date | None = None,
        end: date | None = None,
        period: str | None = None,
        granularity: str = "month",
        totals: bool = False,
        as_of: date | None = None,
        **selection: Any,
    ) -> list[dict[str, Any]]:
        """The rows of a question, with fractions where the service has rounded numbers."""
        known = as_of or self.today
        if not (start and end):
            named = self.calendar.named(period, known)
            start, end = start or named[0], end or named[1]
        days = [start + DAY * n for n in range((end - start).days)]
        periods: list[Period] = []
        for day in days:
            name = self.calendar.unit(day, granularity)
            if periods and periods[-1].name == name:
                periods[-1] = periods[-1]._replace(end=day + DAY)
            else:
                periods.append(Period(name, day, day + DAY))
        found = self._rows_of(metric, periods, known, **selection)
        whole = [Period("total", start, end)]
        return found + (self._rows_of(metric, whole, known, **selection) if totals else [])

    def _rows_of(
        self,
        metric: str,
        periods: list[Period],
        known: date,
        *,
        group_by: Sequence[str] = (),
        segment: Sequence[str] = (),
        where: Where | None = None,
        account: Sequence[str] = (),
        subject: Sequence[str] = (),
        channel: Sequence[str] = (),
        segments_as_of: str = "period_start",
    ) -> list[dict[str, Any]]:
        by = (*group_by, *(["segment"] if segment and "segment" not in group_by else []))
        segments = self._segments_on(known, segment)
        cells: dict[Any, dict[int, list[Kept]]] = defaultdict(lambda: defaultdict(list))
        if by == ("segment",):
            cells = defaultdict(cells.default_factory, {(_typed(name),): defaultdict(list) for name in segments})
        elif not by:
            cells[()]
        for kept in self._live(known):
            index = next((i for i, p in enumerate(periods) if p.start <= kept.day < min(p.end, known + DAY)), None)
            wanted = (kept.event["account_id"], account), (kept.subject, subject), (kept.data.get("channel"), channel)
            if index is None or not METRICS[metric].about(kept) or any(n and side not in n for side, n in wanted):
                continue
            member_on = periods[index].start if segments_as_of == "period_start" else known + DAY
            attribute = self._attributes(kept.event["account_id"], member_on, known)
            if where is None or where.holds(attribute):
                for group in _groups(kept, by, attribute, segments):
                    cells[group][index].append(kept)
        return [
            {"metric": metric, "period": p.name, "start": str(p.start), "end": str(p.end), "complete": p.end <= known}
            | {"group": {name: value for name, (_, _, value) in zip(by, group, strict=True)}}
            | METRICS[metric].formula(cells[group][index])
            for index, p in enumerate(periods)
            for group in sorted(cells, key=lambda group: [(kind, rank) for kind, rank, _ in group])
        ]

    def _live(self, known: date) -> Iterator[Kept]:
        for kept in self.events.values():
            if kept.recorded_on <= known and (kept.retracted_on is None or kept.retracted_on > known):
                yield kept

    def _segments_on(self, known: date, named: Sequence[str]) -> dict[str, Where]:
        """Those that are named, or else all that there were on that day."""
        on = {}
        for name, said in self.segments.items():
            definitions = [where for day, where in said if day <= known]
            if name in named:
                # Before its first definition a segment has that one.
                on[name] = (definitions or [said[0][1]])[-1]
            elif definitions and not named:
                on[name] = definitions[-1]
        return {name: on[name] for name in sorted(on) if on[name] is not None}

    def _attributes(self, account: str, day: date, known: date) -> Callable[[str], Any]:
        """The account's attributes at the first instant of the day, as they were known."""

        def attribute(key: str) -> Any:
            place = (account, key, day, known)
            if place not in self._changes:
                self._changes[place] = self._attribute(*place)
            return self._changes[place]

        return attribute

    def _attribute(self, account: str, key: str, day: date, known: date) -> Any:
        changes = sorted(
            (kept.at, kept.event["id"], kept.data["attributes"][key])
            for kept in self._live(known)
            if kept.type == "account.updated"
            and kept.event["account_id"] == account
            and key in kept.data.get("attributes", {})
        )
        if not changes:
            return None
        start = self.calendar.midnight(day)
        made = [change for change in changes if change[0] <= start]
        # Before its first value an attribute has that value; of several at one instant the last id decides.
        return (made or [change for change in changes if change[0] == changes[0][0]])[-1][2]


def _content(event: dict[str, Any]) -> Any:
    at = datetime.fromisoformat(event["occurred_at"])
    return event["type"], event.get("user_id"), at, json.dumps(event["data"], sort_keys=True)


def _groups(
    kept: Kept, by: Sequence[str], attribute: Callable[[str], Any], segments: dict[str, Where]
) -> Iterator[tuple[Any, ...]]:
    """The groups that an event belongs to: one of each kind, but any number of segments."""
    choices = []
    for name in by:
        if name == "segment":
            choices.append([_typed(segment) for segment, where in segments.items() if where.holds(attribute)])
        elif name in OF_EVENTS:
            sides = {"account": kept.event["account_id"], "subject": kept.subject, "channel": kept.data.get("channel")}
            choices.append([_typed(sides[name])])
        else:
            choices.append([_typed(attribute(name))])
    return product(*choices)


def _typed(value: Any) -> tuple[int, Any, Any]:
    """A value of a group so that True and 1 are two; ordered null, truth values, numbers, texts."""
    if value is None:
        return 0, 0, value
    return (1 if isinstance(value, bool) else 2 if isinstance(value, int | float) else 3), value, value
