"""The books a second time, in plain Python: the events that came, and answers worked out by going through all of them.

Written from METRICS.md alone. It has nothing in common with the service but how events and questions are spelled, so that
the two can be held against each other. Slow and simple on purpose.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import product
from typing import Any, NamedTuple

from tests.almanac import DAY, Calendar
from tests.formulas import METRICS, SURVEYS, Kept, Survey

OF_EVENTS = ("account", "segment", "subject", "channel")


class Where(NamedTuple):
    """A filter: how it is spelled, and whether it holds for an account, whose attributes the function looks up."""

    text: str
    holds: Callable[[Callable[[str], Any]], bool]


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
        self.first_segments: dict[str, Where | None] = {}
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
        kept = self.events[account, id]
        if kept.retracted_on is None:
            self._close(account, self.today)
            kept.retracted_on = self.last[account]

    def define(self, name: str, where: Where | None) -> None:
        """A stored segment from today on; None ends it."""
        self.first_segments.setdefault(name, where)
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
        # A range in one piece is its own total.
        more = totals and granularity != "total"
        return found + (self._rows_of(metric, whole, known, **selection) if more else [])

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
                on[name] = (definitions or [self.first_segments[name]])[-1]
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
