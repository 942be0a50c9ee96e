"""A request for numbers, as one frozen value that travels from the door to the answer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter, parse_filter
from app.accounts.listing import day_after
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import Id, RepeatedIds, normalize_id
from app.core.periods import FIRST_DAY, Calendar, Day, Period, default_range, parse_range, split_range
from app.http.formats import FormatName
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Selection
from app.metrics.define import DEFAULT, METRICS, Metric

MOST_ROWS = 10_000
_MOST_GROUPINGS = 3
_MOST_KEYS = 40
_MOST_FILTER_TEXT = 40_000


def _several(given: Any) -> Any:
    """`a,b` and repeated parameters are lists; each item stands once."""
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return items
    split = [part.strip() for item in items for part in item.split(",")]
    return list(dict.fromkeys(part for part in split if part))


Listed = Annotated[list[Id], BeforeValidator(_several), Field(max_length=100)]
Granularity = Annotated[
    Literal["day", "week", "month", "quarter", "year", "total"],
    Field(description="How the range is cut: weeks are ISO weeks, quarters and years fiscal."),
]


class CommonParameters(BaseModel):
    """What may be asked of every answer: of which days and accounts, grouped how, and as it was known when."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    start: Day | None = Field(None, description="First day.")
    end: Day | None = Field(None, description="The day after the last.")
    period: Annotated[
        str | None,
        Field(
            max_length=40,
            description="Instead of start and end: `2026-03`, `2026-Q1`, `2026`, `2026-W07`, `2026-03-14`, `last_12_months`, "
            "`this_quarter`, `month_to_date` … Default: the last 12 months and the running one.",
        ),
    ] = None
    account: RepeatedIds = Field([], description="Only these accounts.")
    segment: RepeatedIds = Field([], description="Stored segments; each is a group of its own.")
    filter: Annotated[str | None, Field(max_length=4_000, description='`plan = "pro" and not seats < 10`')] = None
    group_by: Listed = Field(
        [], description="Up to three of: an attribute's key, `account`, `segment`, `subject`, `channel`."
    )
    as_of: Day | None = Field(None, description="As it was known at the end of that day.")
    segments_as_of: Literal["period_start", "now"] = Field(
        "period_start", description="Whether accounts are where they were at a period's start, or where they are now."
    )
    limit: int = Field(MOST_ROWS, ge=1, le=MOST_ROWS, description="Rows of a page.")
    cursor: Annotated[str | None, Field(max_length=4_000, description="`next` of the page before.")] = None
    format: FormatName | None = Field(None, description="Default: what `Accept` asks for, else json.")


class MetricParameters(CommonParameters):
    """What may be asked of metrics, and of what is behind their numbers."""

    granularity: Granularity = "month"
    subject: RepeatedIds = Field([], description="Narrow metrics that have subjects (surveys, features) to these.")
    channel: RepeatedIds = Field([], description="Narrow metrics that have channels to these.")
    convention: Annotated[
        str | None,
        Field(
            max_length=100,
            description="Another way to count, by its name in the catalogue. Metrics that do not have it keep their default.",
        ),
    ] = None


class Parameters(MetricParameters):
    """What a client may ask of metrics, in a query string or as JSON."""

    compare: Literal["previous_period", "previous_year"] | None = Field(
        None,
        description="Adds the earlier value, the change and, for proportions and scores, whether it is significant. A period "
        "that has not ended is compared with as many days of the earlier one.",
    )
    min_sample: int = Field(
        0, ge=0, le=1_000_000, description="Withhold values of a smaller sample: `reason` is then `sample_too_small`."
    )
    totals: bool = Field(False, description="One more row per group over the whole range, named `total`.")

    @classmethod
    def of(cls, asked: BaseModel, **more: Any) -> "Parameters":
        """What is asked of another answer, as far as it can be asked of metrics, and `more`; all else is left out."""
        return cls.model_construct(**{name: value for name, value in asked if name in cls.model_fields} | more)


class SeveralParameters(Parameters):
    """The same, for several metrics in one answer."""

    metrics: Listed = Field(description="Names from the catalogue.", min_length=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    metrics: each by the convention that is asked for, or by several. compare: None, `previous_period` or `previous_year`.
    today: the running day, or the day `as_of`; periods after it have not ended. members_on: the day at whose start accounts
    are in their groups; None: each period's first.
    """

    metrics: tuple[Metric, ...]
    start: date
    end: date
    granularity: str
    periods: tuple[Period, ...]
    selection: Selection
    accounts: tuple[str, ...]
    members_on: date | None
    compare: str | None
    min_sample: int
    totals: bool
    today: date

    def understood(self, *, without: Collection[str] = ()) -> dict[str, Any]:
        """The question as it was understood, for the answer. without: what could not be asked for."""
        selection = self.selection
        ways: dict[str, dict[str, int]] = {}
        for metric in self.metrics:
            ways.setdefault(metric.name, {})[metric.convention] = metric.version
        said = {
            "metrics": {name: next(iter(versions.values())) for name, versions in ways.items()},
            "conventions": ways,
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
            "segments_as_of": "now" if self.members_on else "period_start",
            "compare": self.compare,
            "min_sample": self.min_sample or None,
            "totals": self.totals,
        }
        return {name: value for name, value in said.items() if value is not None and name not in without}


async def resolve_question(
    books: Books, names: Sequence[str], asked: Parameters, *, side_by_side: bool = False
) -> Question:
    """The question that parameters make of these metrics today, with the stored segments that it names.

    side_by_side: by every convention of the metrics, instead of the one that is asked for. Raises Invalid.
    """
    by_segment = asked.segment or "segment" in asked.group_by
    stored = await segments.load_segments(books, asked.as_of, names=asked.segment or None) if by_segment else {}
    calendar, today = books.calendar, books.today()
    return build_question(names, asked, calendar=calendar, today=today, segments=stored, side_by_side=side_by_side)


def build_question(
    names: Sequence[str],
    asked: Parameters,
    *,
    calendar: Calendar,
    today: date,
    segments: Mapping[str, Filter],
    side_by_side: bool = False,
) -> Question:
    """The question that parameters make. `segments`: those stored, as they were on the day that is asked for.

    side_by_side: by every convention of the metrics, instead of the one that is asked for.
    Raises Invalid, with the parameter at fault, for what cannot be answered.
    """
    known = [_metric(name) for name in dict.fromkeys(names)]
    metrics = _side_by_side(known, asked.convention) if side_by_side else _by_convention(known, asked.convention)
    if asked.as_of is not None and not FIRST_DAY <= asked.as_of <= today:
        raise Invalid.at("/query/as_of", "as_of is a day from 1970-01-01 to today.", code="invalid_as_of")
    known_to = asked.as_of or today
    start, end = _range(asked, calendar=calendar, today=known_to)
    selection = _selection(asked, metrics, segments, today=today)
    periods = split_range(start, end, granularity=asked.granularity, calendar=calendar, today=known_to)
    return Question(
        metrics=metrics,
        start=start,
        end=end,
        granularity=asked.granularity,
        periods=tuple(periods),
        selection=selection,
        accounts=tuple(asked.account),
        members_on=day_after(known_to) if asked.segments_as_of == "now" else None,
        compare=asked.compare,
        min_sample=asked.min_sample,
        totals=asked.totals,
        today=known_to,
    )


def _metric(name: str) -> Metric:
    if name not in METRICS:
        detail = "There is no such metric; GET /v1/metrics lists them."
        raise Invalid.at("/query/metrics", detail, code="unknown_metric")
    return METRICS[name]


def _by_convention(metrics: Sequence[Metric], convention: str | None) -> tuple[Metric, ...]:
    """The metrics, those by the convention that have it."""
    if convention in (None, DEFAULT):
        return tuple(metrics)
    if not any(convention in metric.conventions for metric in metrics):
        names = ", ".join(dict.fromkeys(name for metric in metrics for name in metric.conventions))
        detail = f"None of these metrics has this convention; they have: {names}."
        raise Invalid.at("/query/convention", detail, code="unknown_convention")
    return tuple(metric.conventions.get(convention, metric) for metric in metrics)


def _side_by_side(metrics: Sequence[Metric], convention: str | None) -> tuple[Metric, ...]:
    if convention is not None:
        detail = "Here the answer is by every convention; leave `convention` out."
        raise Invalid.at("/query/convention", detail, code="unknown_convention")
    return tuple(way for metric in metrics for way in metric.conventions.values())


def _range(asked: Parameters, *, calendar: Calendar, today: date) -> tuple[date, date]:
    start, end = parse_range(asked.period, asked.start, asked.end, calendar=calendar, today=today)
    if start is None or end is None:
        first, last = default_range(calendar=calendar, today=today)
        return start or first, end or last
    return start, end


def _selection(asked: Parameters, metrics: Sequence[Metric], stored: Mapping[str, Filter], *, today: date) -> Selection:
    group_by = _group_by(asked, metrics)
    chosen = _segments(asked, group_by, stored)
    filter = parse_filter(normalize_id(asked.filter)) if asked.filter is not None else None
    if not fits(group_by, [filter, *(segment for _, segment in chosen)]):
        most = f"{_MOST_KEYS} attributes, in {_MOST_FILTER_TEXT:,} characters"
        detail = f"The filter and the segments of a question name at most {most}."
        raise Invalid.at("/query/segment", detail, code="too_many_segments")
    return Selection(
        group_by=group_by,
        filter=filter,
        segments=chosen,
        accounts=tuple(sorted(account_key(account) for account in asked.account)) if asked.account else None,
        subjects=_narrowing("subject", asked.subject, metrics),
        channels=_narrowing("channel", asked.channel, metrics),
        # Knowledge of today is all knowledge: the monthly totals have it.
        as_of=asked.as_of if asked.as_of != today else None,
    )


def fits(group_by: Sequence[str], filters: Sequence[Filter | None]) -> bool:
    """Whether one statement can join all attributes that are asked for."""
    keys = {*group_by, *(key for filter in filters if filter for key in filter.keys)}
    return len(keys) <= _MOST_KEYS and sum(len(filter.text) for filter in filters if filter) <= _MOST_FILTER_TEXT


def _group_by(asked: Parameters, metrics: Sequence[Metric]) -> tuple[str, ...]:
    group_by = tuple(asked.group_by)
    if asked.segment and "segment" not in group_by:
        group_by = (*group_by, "segment")
    if len(group_by) > _MOST_GROUPINGS:
        raise Invalid.at("/query/group_by", "At most three groupings, `segment` among them.", code="too_many_groupings")
    for dimension in ENTRY_DIMENSIONS:
        if dimension in group_by:
            _check_dimension(dimension, metrics, "/query/group_by")
    return group_by


def _check_dimension(dimension: str, metrics: Sequence[Metric], pointer: str) -> None:
    without = [metric for metric in metrics if dimension not in metric.dimensions]
    if without:
        names = ", ".join(f"{m.name} ({m.convention})" if m.convention != DEFAULT else m.name for m in without)
        detail = f"These metrics have no {dimension}: {names}."
        raise Invalid.at(pointer, detail, code="unknown_dimension")


def _narrowing(dimension: str, words: Sequence[str], metrics: Sequence[Metric]) -> tuple[str, ...]:
    if words:
        _check_dimension(dimension, metrics, f"/query/{dimension}")
    return tuple(words)


def _segments(
    asked: Parameters, group_by: Sequence[str], stored: Mapping[str, Filter]
) -> tuple[tuple[str, Filter], ...]:
    if "segment" not in group_by:
        return ()
    names = list(dict.fromkeys(asked.segment)) or sorted(stored)
    for name in names:
        if name not in stored:
            raise Invalid.at("/query/segment", "There is no such segment.", code="unknown_segment")
    return tuple((name, stored[name]) for name in names)
