"""The question: a request for numbers as one frozen value, made from the parameters of an endpoint.

parameters -> Question -> sums -> rows -> output format
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter, parse_filter
from app.accounts.listing import day_after
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import normalize_id
from app.core.period_names import default_range, parse_range, unit_of_name
from app.core.periods import FIRST_DAY, Calendar, Period, split_range
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Selection
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.describe import unknown_metric_detail
from app.metrics.parameters import Parameters

_MAX_GROUPINGS = 3
_MAX_ATTRIBUTES = 40
_MAX_FILTER_CHARACTERS = 40_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request for numbers, validated and complete.

    metrics: each by one convention, or by several. unit: that of the range's name; None for a range without a name.
    compare: None, `previous_period` or `previous_year`. group_day: the day at whose start accounts' groups are decided; None
    means the first day of each period. today: the running day or, with `as_of`, that day; periods after it have not ended.
    """

    metrics: tuple[Metric, ...]
    start: date
    end: date
    unit: str | None
    granularity: str
    calendar: Calendar
    periods: tuple[Period, ...]
    selection: Selection
    accounts: tuple[str, ...]
    group_day: date | None
    compare: str | None
    min_sample: int
    totals: bool
    today: date

    def as_json(self, *, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the question as answers repeat it. without: members that the endpoint has no parameter for."""
        selection = self.selection
        versions: dict[str, dict[str, int]] = {}
        for metric in self.metrics:
            versions.setdefault(metric.name, {})[metric.convention] = metric.version
        members = {
            "metrics": {name: next(iter(by_convention.values())) for name, by_convention in versions.items()},
            "conventions": versions,
            "start": self.start,
            "end": self.end,
            "granularity": self.granularity,
            "group_by": list(selection.group_by),
            "filter": selection.filter.text if selection.filter else None,
            "segments": {name: filter.text for name, filter in selection.segments} or None,
            "account": list(self.accounts) or None,
            "subject": list(selection.subjects) or None,
            "channel": list(selection.channels) or None,
            "as_of": selection.as_of,
            "segments_as_of": "now" if self.group_day else "period_start",
            "compare": self.compare,
            "min_sample": self.min_sample or None,
            "totals": self.totals,
        }
        return {name: value for name, value in members.items() if value is not None and name not in without}


async def resolve_question(
    books: Books, names: Sequence[str], parameters: Parameters, *, side_by_side: bool = False
) -> Question:
    """Return the question that the parameters ask about these metrics, as of today and with the stored segments.

    side_by_side: by every convention of the metrics. Raises Invalid.
    """
    by_segment = parameters.segment or "segment" in parameters.group_by
    names_or_all = parameters.segment or None
    stored = await segments.load_segments(books, parameters.as_of, names=names_or_all) if by_segment else {}
    calendar, today = books.calendar, books.today()
    return build_question(names, parameters, calendar=calendar, today=today, segments=stored, side_by_side=side_by_side)


def build_question(
    names: Sequence[str],
    parameters: Parameters,
    *,
    calendar: Calendar,
    today: date,
    segments: Mapping[str, Filter],
    side_by_side: bool = False,
) -> Question:
    """Return the question that the parameters ask about these metrics.

    segments: the stored segments as they were on the day `as_of`. side_by_side: by every convention of the metrics.
    Raises Invalid with the parameter at fault.
    """
    defaults = [_find_metric(name) for name in dict.fromkeys(names)]
    choose = _every_convention if side_by_side else _by_convention
    metrics = choose(defaults, parameters.convention)
    if parameters.as_of is not None and not FIRST_DAY <= parameters.as_of <= today:
        detail = f"as_of must be a day from {FIRST_DAY} to today."
        raise Invalid.at("/query/as_of", detail, code="invalid_as_of")
    last_day = parameters.as_of or today
    start, end = _range(parameters, calendar=calendar, today=last_day)
    selection = _selection(parameters, metrics, segments, today=today)
    periods = split_range(start, end, granularity=parameters.granularity, calendar=calendar, today=last_day)
    return Question(
        metrics=metrics,
        start=start,
        end=end,
        unit=unit_of_name(parameters.period),
        granularity=parameters.granularity,
        calendar=calendar,
        periods=tuple(periods),
        selection=selection,
        accounts=tuple(parameters.account),
        group_day=day_after(last_day) if parameters.segments_as_of == "now" else None,
        compare=parameters.compare,
        min_sample=parameters.min_sample,
        totals=parameters.totals,
        today=last_day,
    )


def _find_metric(name: str) -> Metric:
    if name not in METRICS:
        raise Invalid.at("/query/metrics", unknown_metric_detail(name), code="unknown_metric")
    return METRICS[name]


def _by_convention(metrics: Sequence[Metric], convention: str | None) -> tuple[Metric, ...]:
    """Return the metrics, by the convention those that have it."""
    if convention in (None, DEFAULT):
        return tuple(metrics)
    if not any(convention in metric.conventions for metric in metrics):
        names = ", ".join(dict.fromkeys(name for metric in metrics for name in metric.conventions))
        detail = f"None of the metrics has this convention. They have: {names}."
        raise Invalid.at("/query/convention", detail, code="unknown_convention")
    return tuple(metric.conventions.get(convention, metric) for metric in metrics)


def _every_convention(metrics: Sequence[Metric], convention: str | None) -> tuple[Metric, ...]:
    """Return the metrics by each of their conventions."""
    if convention is not None:
        detail = 'This endpoint answers by every convention. Leave "convention" out.'
        raise Invalid.at("/query/convention", detail, code="unknown_convention")
    return tuple(entry for metric in metrics for entry in metric.conventions.values())


def _range(parameters: Parameters, *, calendar: Calendar, today: date) -> tuple[date, date]:
    start, end = parse_range(parameters.period, parameters.start, parameters.end, calendar=calendar, today=today)
    if start is None or end is None:
        default_start, default_end = default_range(calendar=calendar, today=today)
        return start or default_start, end or default_end
    return start, end


def _selection(
    parameters: Parameters, metrics: Sequence[Metric], stored: Mapping[str, Filter], *, today: date
) -> Selection:
    group_by = _group_by(parameters, metrics)
    chosen = _segments(parameters, group_by, stored)
    filter = parse_filter(normalize_id(parameters.filter)) if parameters.filter is not None else None
    if not fits_in_statement(group_by, [filter, *(segment for _, segment in chosen)]):
        limits = f"{_MAX_ATTRIBUTES} attributes and {_MAX_FILTER_CHARACTERS:,} characters"
        detail = f"The filter and the segments of a question may have at most {limits} together."
        raise Invalid.at("/query/segment", detail, code="too_many_segments")
    return Selection(
        group_by=group_by,
        filter=filter,
        segments=chosen,
        accounts=tuple(sorted(account_key(id) for id in parameters.account)) if parameters.account else None,
        subjects=_dimension_values("subject", parameters.subject, metrics),
        channels=_dimension_values("channel", parameters.channel, metrics),
        # As of today is everything that is recorded: the monthly totals have it.
        as_of=parameters.as_of if parameters.as_of != today else None,
    )


def fits_in_statement(group_by: Sequence[str], filters: Sequence[Filter | None]) -> bool:
    """Return whether a statement can join all attributes that groupings and filters use, and is not too long."""
    keys = {*group_by, *(key for filter in filters if filter for key in filter.keys)}
    characters = sum(len(filter.text) for filter in filters if filter)
    return len(keys) <= _MAX_ATTRIBUTES and characters <= _MAX_FILTER_CHARACTERS


def _group_by(parameters: Parameters, metrics: Sequence[Metric]) -> tuple[str, ...]:
    group_by = tuple(parameters.group_by)
    if parameters.segment and "segment" not in group_by:
        group_by = (*group_by, "segment")
    if len(group_by) > _MAX_GROUPINGS:
        detail = f"At most {_MAX_GROUPINGS} groupings are possible; segments count as one of them."
        raise Invalid.at("/query/group_by", detail, code="too_many_groupings")
    for dimension in ENTRY_DIMENSIONS:
        if dimension in group_by:
            _check_dimension(dimension, metrics, "/query/group_by")
    return group_by


def _check_dimension(dimension: str, metrics: Sequence[Metric], pointer: str) -> None:
    """Raise Invalid when a metric cannot be broken down by subject or channel."""
    without = [metric for metric in metrics if dimension not in metric.dimensions]
    if without:
        names = ", ".join(f"{m.name} ({m.convention})" if m.convention != DEFAULT else m.name for m in without)
        detail = f"These metrics have no {dimension}: {names}. See `dimensions` in GET /v1/metrics."
        raise Invalid.at(pointer, detail, code="unknown_dimension")


def _dimension_values(dimension: str, values: Sequence[str], metrics: Sequence[Metric]) -> tuple[str, ...]:
    if values:
        _check_dimension(dimension, metrics, f"/query/{dimension}")
    return tuple(values)


def _segments(
    parameters: Parameters, group_by: Sequence[str], stored: Mapping[str, Filter]
) -> tuple[tuple[str, Filter], ...]:
    """Return the segments that are the groups: those of the parameter or, where it names none, all."""
    if "segment" not in group_by:
        return ()
    names = list(dict.fromkeys(parameters.segment)) or sorted(stored)
    if not stored.keys() >= set(names):
        detail = "Unknown segment. GET /v1/segments lists all segments."
        raise Invalid.at("/query/segment", detail, code="unknown_segment")
    return tuple((name, stored[name]) for name in names)
