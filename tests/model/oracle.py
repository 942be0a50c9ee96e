"""The books a second time, in plain Python: the events that came, and answers worked out by going through all of them.

Written from docs/metrics.md alone. It has nothing in common with the service but how events and questions are spelled, so that
the two can be held against each other. Slow and simple on purpose.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from tests.model.calendar import DAY, Calendar
from tests.model.comparison import Period, compared, days_before, withheld
from tests.model.conventions import CONVENTIONS
from tests.model.events import SURVEYS, AcceptedEvent, History, Survey
from tests.model.facts import EVERY_SUBJECT, Fact, ModelMetric, Span
from tests.model.formulas import METRICS
from tests.model.subscriptions import BASE_CURRENCY

OF_FACTS = ("account", "subject", "channel")


class Filter(NamedTuple):
    """A filter: how it is spelled, and whether it holds for an account, whose attributes the function looks up."""

    text: str
    holds: Callable[[Callable[[str], Any]], bool]


Everywhere = list[tuple[Any, int, Fact]]


class Model:
    """Everything that came, and the rows of any question about it. `now` is its clock."""

    def __init__(
        self,
        calendar: Calendar,
        surveys: dict[str, Survey] | None = None,
        rates: Mapping[str, Mapping[date, str]] | None = None,
    ) -> None:
        self.calendar = calendar
        self.rates = rates or {}
        self.surveys = SURVEYS | (surveys or {})
        self.now = datetime(2026, 3, 15, 12, tzinfo=UTC)
        self.events: dict[tuple[str, str], AcceptedEvent] = {}
        self.last: dict[str, date] = {}
        self.segments: dict[str, list[tuple[date, Filter | None]]] = defaultdict(list)
        self.first_segments: dict[str, Filter | None] = {}
        self._kept: dict[Any, History] = {}

    @property
    def today(self) -> date:
        return self.calendar.day(self.now)

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Take a batch: how many were accepted and were duplicates, and index and code of those rejected."""
        accepted = duplicates = 0
        rejected: list[tuple[int, str]] = []
        last = dict(self.last)
        for index, event in enumerate(events):
            account, at = event["account_id"], datetime.fromisoformat(event["occurred_at"])
            known = date.fromisoformat(event["recorded_on"]) if "recorded_on" in event else None
            before = self.events.get((account, event["id"]))
            if fault := self._fault(event):
                rejected.append((index, fault))
            elif before and _content(before.event) == _content(event):
                duplicates += 1
            elif before:
                rejected.append((index, "conflict"))
            elif known and known < last.get(account, known):
                rejected.append((index, "recorded_before_last"))
            else:
                accepted += 1
                recorded = known or max(self.today, last.get(account, self.today))
                survey = self.surveys[event["data"]["survey"]] if "survey" in event["data"] else None
                kept = AcceptedEvent(event, at, self.calendar.day(at), recorded, survey=survey, rate=self._rate(event))
                self.events[account, event["id"]] = kept
                self._close(account, recorded)
        return {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}

    def _fault(self, event: dict[str, Any]) -> str | None:
        if datetime.fromisoformat(event["occurred_at"]) > self.now + DAY:
            return "in_the_future"
        if "recorded_on" in event and date.fromisoformat(event["recorded_on"]) > self.today:
            return "in_the_future"
        if self._rate(event) is None:
            return "no_exchange_rate"
        survey = self.surveys.get(event["data"].get("survey", "nps"))
        if survey is None:
            return "unknown_survey"
        score = event["data"].get("score", survey.low)
        return None if survey.low <= score <= survey.high else "score_out_of_range"

    def _rate(self, event: dict[str, Any]) -> Fraction | None:
        """What one unit of the event's currency is worth on its day; None when that is not known."""
        currency = event["data"].get("currency", BASE_CURRENCY)
        if currency == BASE_CURRENCY:
            return Fraction(1)
        day = self.calendar.day(datetime.fromisoformat(event["occurred_at"]))
        said = [(since, rate) for since, rate in self.rates.get(currency, {}).items() if since <= day]
        return Fraction(max(said)[1]) if said else None

    def _close(self, account: str, day: date) -> None:
        self.last[account] = max(day, self.last.get(account, day))

    def retract(self, account: str, id: str) -> None:
        kept = self.events[account, id]
        if kept.retracted_on is None:
            self._close(account, self.today)
            kept.retracted_on = self.last[account]

    def define(self, name: str, where: Filter | None) -> None:
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
        convention: str | None = None,
        compare: str | None = None,
        min_sample: int = 0,
        **selection: Any,
    ) -> list[dict[str, Any]]:
        """The rows of a question, with fractions where the service has rounded numbers."""
        known = as_of or self.today
        if not (start and end):
            named = self.calendar.named(period, known)
            start, end = start or named[0], end or named[1]
        periods = [Period(*unit) for unit in self.calendar.units(start, end, granularity)]
        # A range in one piece is its own total.
        cuts = [periods, [Period("total", start, end)]][: 2 if totals and granularity != "total" else 1]
        way = CONVENTIONS.get(metric, {}).get(convention or "", METRICS[metric])
        found = [self._cells(way, [_span(p, known) for p in cut], **selection, known=known) for cut in cuts]
        # What is anywhere in the range has a row for every period and for the total.
        groups = set().union(*(cells for cells, _ in found))
        ordered = sorted(groups, key=lambda group: [(kind, rank) for kind, rank, _ in group])
        rows = []
        for cut, told in zip(cuts, found, strict=True):
            earlier = [days_before(p, compare, granularity, known) for p in cut]
            before = _spread(*self._cells(way, earlier, **selection, known=known), groups) if compare else {}
            cells = _spread(*told, groups)
            for (index, p), group in product(enumerate(cut), ordered):
                row = withheld(way.formula(cells[group][index], _span(p, known)), min_sample)
                if compare and (days := earlier[index]):
                    row |= compared(row, withheld(way.formula(before[group][index], days), min_sample))
                place = {"metric": metric, "period": p.name, "start": str(p.start), "end": str(p.end)}
                place |= {"complete": p.end <= known}
                values = dict(zip(_grouping(**selection), (value for _, _, value in group), strict=True))
                rows.append(place | {"group": values} | row)
        return rows

    def _cells(
        self,
        metric: ModelMetric,
        spans: Sequence[Span | None],
        *,
        known: date,
        group_by: Sequence[str] = (),
        segment: Sequence[str] = (),
        where: Filter | None = None,
        account: Sequence[str] = (),
        subject: Sequence[str] = (),
        channel: Sequence[str] = (),
        segments_as_of: str = "period_start",
    ) -> tuple[dict[Any, dict[int, Any]], Everywhere]:
        """What there is of a metric, by group, index of the period and name of the fact; and what every subject shares."""
        by = _grouping(group_by, segment)
        segments = self._segments_on(known, segment)
        cells: dict[Any, dict[int, Any]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        if by == ("segment",):
            cells = defaultdict(cells.default_factory, {(_typed(name),): cells.default_factory() for name in segments})
        elif not by:
            cells[()]
        # What belongs to every subject waits until it is known which subjects there are.
        everywhere: Everywhere = []
        histories = [history for history in self._histories(known) if not account or history.account in account]
        for (index, span), history in product(enumerate(spans), histories):
            if span is None:
                continue
            member_on = span.start if segments_as_of == "period_start" else known + DAY
            attribute = partial(history.attribute, day=member_on)
            if where is not None and not where.holds(attribute):
                continue
            for fact in metric.facts(history, span):
                wanted = (fact.subject, subject), (fact.channel, channel)
                if not fact.what or any(named and side not in (*named, EVERY_SUBJECT) for side, named in wanted):
                    continue
                for group in _groups(history.account, fact, by, attribute, segments):
                    if any(value is EVERY_SUBJECT for _, _, value in group):
                        everywhere.append((group, index, fact))
                    else:
                        cells[group][index][fact.name].append(fact.what)
        return cells, everywhere

    def _histories(self, known: date) -> list[History]:
        """The accounts that anything was known of, each with what was known."""
        live: dict[str, list[AcceptedEvent]] = defaultdict(list)
        for (account, _), kept in self.events.items():
            if kept.recorded_on <= known and (kept.retracted_on is None or kept.retracted_on > known):
                live[account].append(kept)
        return [self._history(account, events) for account, events in live.items()]

    def _history(self, account: str, events: list[AcceptedEvent]) -> History:
        """An account with just these events; an event never changes, so it is the same one whenever they are all."""
        place = account, tuple(sorted(kept.id for kept in events))
        if place not in self._kept:
            self._kept[place] = History(account, events, self.calendar)
        return self._kept[place]

    def _segments_on(self, known: date, named: Sequence[str]) -> dict[str, Filter]:
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


def _spread(cells: dict[Any, dict[int, Any]], everywhere: Everywhere, groups: Any) -> dict[Any, dict[int, Any]]:
    """The cells with what belongs to every subject, in all groups that there are."""
    for (somewhere, index, fact), group in product(everywhere, groups):
        if all(side in (its, _typed(EVERY_SUBJECT)) for its, side in zip(group, somewhere, strict=True)):
            cells[group][index][fact.name].append(fact.what)
    return cells


def _span(period: Period, known: date) -> Span:
    return Span(period.start, max(period.start, min(period.end, known + DAY)))


def _grouping(group_by: Sequence[str] = (), segment: Sequence[str] = (), **_: Any) -> tuple[str, ...]:
    return (*group_by, *(["segment"] if segment and "segment" not in group_by else []))


def _content(event: dict[str, Any]) -> Any:
    at = datetime.fromisoformat(event["occurred_at"])
    return event["type"], event.get("user_id"), at, json.dumps(event["data"], sort_keys=True)


def _groups(
    account: str, fact: Fact, by: Sequence[str], attribute: Callable[[str], Any], segments: dict[str, Filter]
) -> Iterator[tuple[Any, ...]]:
    """The groups that a fact about an account belongs to: one of each kind, but any number of segments."""
    choices = []
    for name in by:
        if name == "segment":
            choices.append([_typed(segment) for segment, where in segments.items() if where.holds(attribute)])
        elif name in OF_FACTS:
            sides = {"account": account, "subject": fact.subject, "channel": fact.channel}
            choices.append([_typed(sides[name])])
        else:
            choices.append([_typed(attribute(name))])
    return product(*choices)


def _typed(value: Any) -> tuple[int, Any, Any]:
    """A value of a group so that True and 1 are two; ordered null, truth values, numbers, texts."""
    if value is None:
        return 0, 0, value
    return (1 if isinstance(value, bool) else 2 if isinstance(value, int | float) else 3), value, value
