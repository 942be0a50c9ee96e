"""The question: a request for numbers as one frozen value, made from the parameters of an endpoint.

parameters -> Question -> sums -> rows -> output format
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter, parse_filter
from app.accounts.listing import day_after
from app.accounts.segments import unknown_segment
from app.books.books import Books
from app.books.first_day import is_recorded_by
from app.core.errors import FaultList, Invalid
from app.core.ids import normalize_id
from app.core.names import Fault, name_fault, nearest_names
from app.core.period_names import default_range, parse_as_of, parse_range, unit_of_name
from app.core.periods import Calendar, Period, split_range
from app.database.query_plan import run_plan
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Selection
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.describe import unknown_metric
from app.metrics.parameters import Parameters
from app.metrics.question_names import QuestionNames, name_faults, names_of

_MAX_GROUPINGS = 3
_MAX_ATTRIBUTES = 40
_MAX_FILTER_CHARACTERS = 40_000

# Stored segments with their names.
_Segments = tuple[tuple[str, Filter], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A request for numbers, validated and complete.

    metrics: each by one convention, or by several. unit: that of the range's name; None for a range without a name.
    compare: None, `previous_period` or `previous_year`. group_day: the day at whose start accounts' groups are decided; None
    means the first day of each period. today: the running day or, with `as_of`, that day; periods after it have not ended.
    strict, names: whether names that only data can bring have to be recorded, and which. is_known: whether anything had been
    recorded on the day `as_of`; before, numbers have no value. complete_only: whether periods that have not ended are left out
    of `periods`.
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
    strict: bool
    names: QuestionNames
    is_known: bool = True
    complete_only: bool = False

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
            "complete_only": self.complete_only or None,
            "strict": None if self.strict else False,
        }
        return {name: value for name, value in members.items() if value is not None and name not in without}


async def resolve_question(
    books: Books, names: Sequence[str], parameters: Parameters, *, side_by_side: bool = False
) -> Question:
    """Return the question that the parameters ask about these metrics, as of today and with the stored segments.

    side_by_side: by every convention of the metrics. Raises Invalid with all faults but names that were never recorded, for
    which the answer looks itself, unless there are other faults anyway.
    """
    today = await books.load_today(as_of=parameters.as_of)
    by_segment = parameters.segment or "segment" in parameters.group_by
    stored_segments = (
        await segments.load_segments(books, parameters.as_of, names=parameters.segment or None) if by_segment else {}
    )
    other_names = (
        [] if stored_segments.keys() >= {*parameters.segment} else [*await segments.load_segments(books, None)]
    )
    try:
        question = build_question(
            names,
            parameters,
            calendar=books.calendar,
            today=today,
            segments=stored_segments,
            other_segments=other_names,
            side_by_side=side_by_side,
        )
    except Invalid as invalid:
        unrecorded_faults = await _find_unrecorded(books, names, parameters, stored_segments)
        raise Invalid.of([*invalid.faults, *unrecorded_faults], subject="The question") from None
    as_of = question.selection.as_of
    if as_of is None or await is_recorded_by(books.database, books.first_day, as_of):
        return question
    return replace(question, is_known=False)


async def _find_unrecorded(
    books: Books, names: Sequence[str], parameters: Parameters, stored_segments: Mapping[str, Filter]
) -> list[Fault]:
    """Return the faults of the names in an invalid question that were never recorded."""
    metrics = [METRICS[name] for name in names if name in METRICS]
    filter = FaultList().attempt(lambda: _filter(parameters), None)
    question_names = names_of(parameters, metrics, filter, stored_segments)
    return await books.database.ask(
        lambda connection: run_plan(connection, name_faults(books.database, question_names))
    )


def build_question(
    names: Sequence[str],
    parameters: Parameters,
    *,
    calendar: Calendar,
    today: date,
    segments: Mapping[str, Filter],
    other_segments: Sequence[str] = (),
    side_by_side: bool = False,
) -> Question:
    """Return the question that the parameters ask about these metrics.

    segments: the stored segments as they were on the day `as_of`. other_segments: the names of others, for suggestions.
    side_by_side: by every convention of the metrics. Raises Invalid with all faults.
    """
    faults = FaultList()
    metrics: tuple[Metric, ...] = faults.attempt(
        lambda: _choose_metrics(names, parameters.convention, side_by_side=side_by_side), ()
    )
    last_day = faults.attempt(lambda: parse_as_of(parameters.as_of, today=today), today)
    start, end, periods = _find_periods(faults, parameters, calendar=calendar, today=last_day)
    filter = faults.attempt(lambda: _filter(parameters), None)
    group_by: tuple[str, ...] = faults.attempt(lambda: _group_by(parameters), ())
    chosen_segments: _Segments = faults.attempt(lambda: _segments(parameters, group_by, segments, other_segments), ())
    for dimension in ENTRY_DIMENSIONS:
        faults.attempt(partial(_check_dimension, dimension, parameters, metrics), None)
    faults.attempt(lambda: _check_size(group_by, filter, chosen_segments), None)
    faults.raise_all(subject="The question")
    return Question(
        metrics=metrics,
        start=start,
        end=end,
        unit=unit_of_name(parameters.period),
        granularity=parameters.granularity,
        calendar=calendar,
        periods=tuple(period for period in periods if period.complete or not parameters.complete_only),
        selection=_selection(parameters, group_by, filter, chosen_segments, today=today),
        accounts=tuple(parameters.account),
        group_day=day_after(last_day) if parameters.segments_as_of == "now" else None,
        compare=parameters.compare,
        min_sample=parameters.min_sample,
        totals=parameters.totals,
        complete_only=parameters.complete_only,
        today=last_day,
        strict=parameters.strict,
        names=names_of(parameters, metrics, filter, dict(chosen_segments)),
    )


def _choose_metrics(names: Sequence[str], convention: str | None, *, side_by_side: bool) -> tuple[Metric, ...]:
    faults = [unknown_metric(name, "/query/metrics") for name in dict.fromkeys(names) if name not in METRICS]
    if faults:
        raise Invalid.of(faults, subject="The question")
    defaults = [METRICS[name] for name in dict.fromkeys(names)]
    return _every_convention(defaults, convention) if side_by_side else _by_convention(defaults, convention)


def _by_convention(metrics: Sequence[Metric], convention: str | None) -> tuple[Metric, ...]:
    """Return the metrics, by the convention those that have it."""
    if convention in (None, DEFAULT):
        return tuple(metrics)
    if not any(convention in metric.conventions for metric in metrics):
        names = [*dict.fromkeys(name for metric in metrics for name in metric.conventions)]
        sentence, advice = "None of the metrics has the convention{}.", f"They have: {', '.join(names)}."
        nearest = nearest_names(convention, names)
        code = "unknown_convention"
        raise Invalid.of([name_fault("/query/convention", sentence, convention, nearest, code=code, advice=advice)])
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
        default_start, default_end = default_range(parameters.granularity, calendar=calendar, today=today)
        if end is not None and end <= default_start:
            detail = f"`end` is before {default_start}, where the range begins by default. Give `start` as well."
            raise Invalid.at("/query/end", detail, code="invalid_period")
        return start or default_start, end or default_end
    return start, end


def _filter(parameters: Parameters) -> Filter | None:
    return parse_filter(normalize_id(parameters.filter)) if parameters.filter is not None else None


def _find_periods(
    faults: FaultList, parameters: Parameters, *, calendar: Calendar, today: date
) -> tuple[date, date, Sequence[Period]]:
    """Return the range of a question and its periods. What is wrong with them is added to the faults."""
    start, end = faults.attempt(lambda: _range(parameters, calendar=calendar, today=today), (today, day_after(today)))
    periods: list[Period] = faults.attempt(
        lambda: split_range(start, end, granularity=parameters.granularity, calendar=calendar, today=today), []
    )
    return start, end, periods


def _selection(
    parameters: Parameters,
    group_by: tuple[str, ...],
    filter: Filter | None,
    chosen_segments: _Segments,
    *,
    today: date,
) -> Selection:
    return Selection(
        group_by=group_by,
        filter=filter,
        segments=chosen_segments,
        accounts=tuple(sorted(account_key(id) for id in parameters.account)) if parameters.account else None,
        subjects=tuple(parameters.subject),
        channels=tuple(parameters.channel),
        # As of today is everything that is recorded: the monthly totals have it.
        as_of=parameters.as_of if parameters.as_of != today else None,
    )


def _check_size(group_by: Sequence[str], filter: Filter | None, chosen_segments: _Segments) -> None:
    if not fits_in_statement(group_by, [filter, *(segment for _, segment in chosen_segments)]):
        limits = f"{_MAX_ATTRIBUTES} attributes and {_MAX_FILTER_CHARACTERS:,} characters"
        detail = (
            f"The filter and the segments of a question may have at most {limits} together. Ask about fewer at once."
        )
        raise Invalid.at("/query/segment", detail, code="too_many_segments")


def fits_in_statement(group_by: Sequence[str], filters: Sequence[Filter | None]) -> bool:
    """Return whether a statement can join all attributes that groupings and filters use, and is not too long."""
    keys = {*group_by, *(key for filter in filters if filter for key in filter.keys)}
    characters = sum(len(filter.text) for filter in filters if filter)
    return len(keys) <= _MAX_ATTRIBUTES and characters <= _MAX_FILTER_CHARACTERS


def _group_by(parameters: Parameters) -> tuple[str, ...]:
    group_by = tuple(parameters.group_by)
    if parameters.segment and "segment" not in group_by:
        group_by = (*group_by, "segment")
    if len(group_by) > _MAX_GROUPINGS:
        detail = f"At most {_MAX_GROUPINGS} groupings are possible; segments count as one of them. Ask several questions instead."
        raise Invalid.at("/query/group_by", detail, code="too_many_groupings")
    return group_by


def _check_dimension(dimension: str, parameters: Parameters, metrics: Sequence[Metric]) -> None:
    """Raise Invalid when the question is broken down or narrowed by a subject or channel that a metric does not have."""
    without = [metric for metric in metrics if dimension not in metric.dimensions]
    pointer = f"/query/{dimension}" if getattr(parameters, dimension) else "/query/group_by"
    if without and (dimension in parameters.group_by or getattr(parameters, dimension)):
        names = ", ".join(f"{m.name} ({m.convention})" if m.convention != DEFAULT else m.name for m in without)
        detail = (
            f"These metrics have no {dimension}: {names}. Ask for them without it; GET /v1/metrics lists `dimensions`."
        )
        raise Invalid.at(pointer, detail, code="unknown_dimension")


def _segments(
    parameters: Parameters, group_by: Sequence[str], stored_segments: Mapping[str, Filter], other_names: Sequence[str]
) -> _Segments:
    """Return the segments that are the groups: those of the parameter or, where it names none, all."""
    if "segment" not in group_by:
        return ()
    names = list(dict.fromkeys(parameters.segment)) or sorted(stored_segments)
    if unknown := [name for name in names if name not in stored_segments]:
        raise Invalid.of([unknown_segment(name, other_names, "/query/segment") for name in unknown])
    return tuple((name, stored_segments[name]) for name in names)
