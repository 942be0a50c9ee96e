"""The service a second time, in plain Python: it keeps the accepted events and computes every answer from all of them.

Written from docs/metrics.md alone. It has nothing in common with the service but the format of events and questions, so that
the two can be comparison_fields. Slow and simple on purpose.
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
from tests.model.comparison import (
    Period,
    comparison_fields,
    days_before_row,
    days_before_total,
    units_of_total,
    withhold,
)
from tests.model.conventions import CONVENTIONS
from tests.model.events import SURVEYS, AcceptedEvent, History, Survey
from tests.model.facts import EVERY_SUBJECT, Fact, ModelMetric, Span
from tests.model.formulas import METRICS
from tests.model.subscriptions import BASE_CURRENCY

FACT_GROUPINGS = ("account", "subject", "channel")


class Filter(NamedTuple):
    """A filter: its text, and whether it holds for an account, whose attributes the argument of `holds` looks up."""

    text: str
    holds: Callable[[Callable[[str], Any]], bool]


# By group, index of the period and name of the fact, the values of the facts.
Cells = dict[Any, dict[int, Any]]
# Facts that belong to every subject of the answer, with their group and the index of their period.
SharedFacts = list[tuple[Any, int, Fact]]


class Model:
    """All accepted events, and the rows of any question about them. `now` is its clock."""

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
        # On which everything is recorded until a clock says a later day.
        self.last_day = date.min
        self.events: dict[tuple[str, str], AcceptedEvent] = {}
        self.last_recorded: dict[str, date] = {}
        self.segments: dict[str, list[tuple[date, Filter | None]]] = defaultdict(list)
        self.first_segments: dict[str, Filter | None] = {}
        self._history_cache: dict[Any, History] = {}

    @property
    def today(self) -> date:
        return max(self.calendar.day(self.now), self.last_day)

    def send(self, *bodies: dict[str, Any]) -> dict[str, Any]:
        """Accept a batch; return the numbers of accepted events and duplicates, and index and code of rejected ones."""
        accepted = duplicates = 0
        rejected: list[tuple[int, str]] = []
        last = dict(self.last_recorded)
        for index, body in enumerate(bodies):
            account, at = body["account_id"], datetime.fromisoformat(body["occurred_at"])
            backdated_to = date.fromisoformat(body["recorded_on"]) if "recorded_on" in body else None
            stored = self.events.get((account, body["id"]))
            if fault := self._fault(body):
                rejected.append((index, fault))
                continue
            self.last_day = self.today
            if stored and _content(stored.body) == _content(body):
                duplicates += 1
            elif stored:
                rejected.append((index, "conflict"))
            elif backdated_to and backdated_to < last.get(account, backdated_to):
                rejected.append((index, "recorded_before_last"))
            else:
                accepted += 1
                recorded_on = backdated_to or max(self.today, last.get(account, self.today))
                survey = self.surveys[body["data"]["survey"]] if "survey" in body["data"] else None
                day = self.calendar.day(at)
                self.events[account, body["id"]] = AcceptedEvent(
                    body, at, day, recorded_on, survey=survey, rate=self._rate(body)
                )
                self._set_last_recorded(account, recorded_on)
        return {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}

    def _fault(self, body: dict[str, Any]) -> str | None:
        if datetime.fromisoformat(body["occurred_at"]) > max(self.now, self.calendar.midnight(self.today)) + DAY:
            return "in_the_future"
        if "recorded_on" in body and date.fromisoformat(body["recorded_on"]) > self.today:
            return "in_the_future"
        if self._rate(body) is None:
            return "no_exchange_rate"
        survey = self.surveys.get(body["data"].get("survey", "nps"))
        if survey is None:
            return "unknown_survey"
        score = body["data"].get("score", survey.low)
        return None if survey.low <= score <= survey.high else "score_out_of_range"

    def _rate(self, body: dict[str, Any]) -> Fraction | None:
        """Return the value of one unit of an event's currency on its day; None when it is unknown."""
        currency = body["data"].get("currency", BASE_CURRENCY)
        if currency == BASE_CURRENCY:
            return Fraction(1)
        day = self.calendar.day(datetime.fromisoformat(body["occurred_at"]))
        rates = [(since, rate) for since, rate in self.rates.get(currency, {}).items() if since <= day]
        return Fraction(max(rates)[1]) if rates else None

    def _set_last_recorded(self, account: str, day: date) -> None:
        self.last_recorded[account] = max(day, self.last_recorded.get(account, day))

    def retract(self, account: str, id: str) -> None:
        event = self.events[account, id]
        self.last_day = self.today
        if event.retracted_on is None:
            self._set_last_recorded(account, self.today)
            event.retracted_on = self.last_recorded[account]

    def define(self, name: str, where: Filter | None) -> None:
        """Define a stored segment from today on; None ends it."""
        self.last_day = self.today
        self.first_segments.setdefault(name, where)
        earlier = [definition for definition in self.segments[name] if definition[0] != self.today]
        self.segments[name] = [*earlier, (self.today, where)]

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
        first_recorded_on: date | None = None,
        **selection: Any,
    ) -> list[dict[str, Any]]:
        """Return the rows of a question, with fractions where the service has rounded numbers.

        first_recorded_on: the first day on which anything was recorded in the books, which may have other accounts, too.
        """
        as_of = as_of or self.today
        is_known = as_of == self.today or (first_recorded_on is not None and first_recorded_on <= as_of)
        if not (start and end):
            default_start, default_end = self.calendar.range_of(period, as_of, granularity)
            start, end = start or default_start, end or default_end
        periods = [Period(*unit) for unit in self.calendar.split(start, end, granularity)]
        # A range that is not split is its own total.
        splits = [periods, [Period("total", start, end)]][: 2 if totals and granularity != "total" else 1]
        definition = CONVENTIONS.get(metric, {}).get(convention or "", METRICS[metric])
        cells_of_splits = [
            self._cells(definition, [_span(p, as_of) for p in split], **selection, as_of=as_of) for split in splits
        ]
        # A group that has facts anywhere in the range has a row for every period and for the total.
        groups = set().union(*(cells for cells, _ in cells_of_splits))
        ordered = sorted(groups, key=lambda group: [(kind, rank) for kind, rank, _ in group])
        rows = []
        for split, (own_cells, shared) in zip(splits, cells_of_splits, strict=True):
            earlier = [
                self._days_before(p, compare, granularity, period, as_of, is_only=len(periods) == 1) for p in split
            ]
            before = (
                _add_shared_facts(*self._cells(definition, earlier, **selection, as_of=as_of), groups)
                if compare
                else {}
            )
            cells = _add_shared_facts(own_cells, shared, groups)
            for (index, p), group in product(enumerate(split), ordered):
                row = withhold(definition.formula(cells[group][index], _span(p, as_of)), min_sample)
                row = row if is_known else dict.fromkeys(row) | {"reason": "nothing_known_yet"}
                if is_known and compare and (days := earlier[index]):
                    row |= comparison_fields(row, withhold(definition.formula(before[group][index], days), min_sample))
                head = {"metric": metric, "period": p.name, "start": str(p.start), "end": str(p.end)}
                head |= {"complete": p.end <= as_of}
                values = dict(zip(_groupings(**selection), (value for _, _, value in group), strict=True))
                rows.append(head | {"group": values} | row)
        return rows

    def _days_before(
        self, p: Period, compare: str | None, granularity: str, name: str | None, as_of: date, *, is_only: bool
    ) -> Span | None:
        """Return the days with which a row or total is compared. is_only: whether the answer has one row of each group."""
        if compare is None:
            return None
        rule: dict[str, Any] = {"compare": compare, "calendar": self.calendar, "as_of": as_of}
        if p.name != "total" or (granularity != "total" and is_only):
            return days_before_row(p, granularity, **rule)
        return days_before_total(p, units_of_total(p, name, calendar=self.calendar, as_of=as_of), **rule)

    def _cells(
        self,
        metric: ModelMetric,
        spans: Sequence[Span | None],
        *,
        as_of: date,
        group_by: Sequence[str] = (),
        segment: Sequence[str] = (),
        where: Filter | None = None,
        account: Sequence[str] = (),
        subject: Sequence[str] = (),
        channel: Sequence[str] = (),
        segments_as_of: str = "period_start",
    ) -> tuple[Cells, SharedFacts]:
        """Return the facts of a metric by group, index of the period and name, and those that every subject shares."""
        by = _groupings(group_by, segment)
        segments = self._segments_on(as_of, segment)
        cells: Cells = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        if by == ("segment",):
            cells = defaultdict(
                cells.default_factory, {(_typed_value(name),): cells.default_factory() for name in segments}
            )
        elif not by:
            cells[()]
        # Facts of every subject are added when all subjects of the answer have been found.
        shared: SharedFacts = []
        histories = [history for history in self.histories(as_of) if not account or history.account in account]
        for (index, span), history in product(enumerate(spans), histories):
            if span is None:
                continue
            member_on = span.start if segments_as_of == "period_start" else as_of + DAY
            attribute = partial(history.attribute, day=member_on)
            if where is not None and not where.holds(attribute):
                continue
            for fact in metric.facts(history, span):
                conditions = (fact.subject, subject), (fact.channel, channel)
                if not fact.value or any(
                    values and side not in (*values, EVERY_SUBJECT) for side, values in conditions
                ):
                    continue
                for group in _groups(history.account, fact, by, attribute, segments):
                    if any(value is EVERY_SUBJECT for _, _, value in group):
                        shared.append((group, index, fact))
                    else:
                        cells[group][index][fact.name].append(fact.value)
        return cells, shared

    def histories(self, as_of: date) -> list[History]:
        """Return the accounts that have events as of a day, each with these events."""
        live: dict[str, list[AcceptedEvent]] = defaultdict(list)
        for (account, _), event in self.events.items():
            if event.recorded_on <= as_of and (event.retracted_on is None or event.retracted_on > as_of):
                live[account].append(event)
        return [self._history(account, events) for account, events in live.items()]

    def _history(self, account: str, events: list[AcceptedEvent]) -> History:
        """Return the history of an account with exactly these events, from a cache: an event never changes."""
        key = account, tuple(sorted(event.id for event in events))
        if key not in self._history_cache:
            self._history_cache[key] = History(account, events, self.calendar)
        return self._history_cache[key]

    def _segments_on(self, as_of: date, names: Sequence[str]) -> dict[str, Filter]:
        """Return the definitions of the named segments on a day; without names, of all segments of that day."""
        on = {}
        for name, definitions in self.segments.items():
            earlier = [where for day, where in definitions if day <= as_of]
            if name in names:
                # Before its first definition a segment has that definition.
                on[name] = (earlier or [self.first_segments[name]])[-1]
            elif earlier and not names:
                on[name] = earlier[-1]
        return {name: on[name] for name in sorted(on) if on[name] is not None}


def _add_shared_facts(cells: Cells, shared: SharedFacts, groups: Any) -> Cells:
    """Return the cells with the shared facts added to all groups that they belong to."""
    for (shared_group, index, fact), group in product(shared, groups):
        if all(side in (own, _typed_value(EVERY_SUBJECT)) for own, side in zip(group, shared_group, strict=True)):
            cells[group][index][fact.name].append(fact.value)
    return cells


def _span(period: Period, as_of: date) -> Span:
    return Span(period.start, max(period.start, min(period.end, as_of + DAY)))


def _groupings(group_by: Sequence[str] = (), segment: Sequence[str] = (), **_: Any) -> tuple[str, ...]:
    return (*group_by, *(["segment"] if segment and "segment" not in group_by else []))


def _content(body: dict[str, Any]) -> Any:
    at = datetime.fromisoformat(body["occurred_at"])
    return body["type"], body.get("user_id"), at, json.dumps(body["data"], sort_keys=True)


def _groups(
    account: str, fact: Fact, by: Sequence[str], attribute: Callable[[str], Any], segments: dict[str, Filter]
) -> Iterator[tuple[Any, ...]]:
    """Return the groups that a fact about an account belongs to: one value per grouping, but any number of segments."""
    choices = []
    for name in by:
        if name == "segment":
            choices.append([_typed_value(segment) for segment, where in segments.items() if where.holds(attribute)])
        elif name in FACT_GROUPINGS:
            sides = {"account": account, "subject": fact.subject, "channel": fact.channel}
            choices.append([_typed_value(sides[name])])
        else:
            choices.append([_typed_value(attribute(name))])
    return product(*choices)


def _typed_value(value: Any) -> tuple[int, Any, Any]:
    """Return a group's value so that True and 1 differ, ordered null, truth values, numbers, texts."""
    if value is None:
        return 0, 0, value
    return (1 if isinstance(value, bool) else 2 if isinstance(value, int | float) else 3), value, value
