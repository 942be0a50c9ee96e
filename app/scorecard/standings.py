"""How near targets are: each in one period, with its number, its judgment and its trend."""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.errors import Invalid
from app.core.periods import Calendar, Period
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.ledger.money import MONEY_SCALE
from app.metrics.currencies import format_amount
from app.metrics.define import Metric
from app.metrics.numbers import NumberKey, NumberRequest, load_numbers
from app.metrics.offers import OFFERS, TargetStanding, TrendPoint
from app.metrics.results import Result, shown_value
from app.metrics.rows import round_number
from app.scorecard.definition import Definition
from app.scorecard.judgment import NOT_BEGUN, Aim, judge
from app.scorecard.placement import Placement, earlier_periods, is_flow, place_in, target_of_whole
from app.scorecard.versions import TargetStretch, load_all_stretches

# Targets that hold at the same time are limited when they are put; a long range may have more that have ended.
_MAX_STANDINGS = 1_000


class TargetHistory(NamedTuple):
    """A target in the period of a scorecard, with the periods before it and all days on which it holds."""

    placement: Placement
    trend: Sequence[Period]
    stretches: Sequence[TargetStretch]


class _Numbers(NamedTuple):
    """The numbers of a scorecard. recorded_by: as of which day they were loaded."""

    results: Mapping[NumberKey, Result]
    recorded_by: date | None

    def of(self, definition: Definition, period: Period) -> Result:
        """Return the number of a target in a period."""
        return self.results[NumberRequest(definition, period, True, self.recorded_by).key]


async def load_standings(
    connection: Connection, books: Books, *, as_of: date | None = None, day: date | None = None
) -> list[TargetStanding]:
    """Return the standing of every target in the period that contains today, or the day `as_of`; with `day`, this one."""
    today = as_of or books.today()
    start = day or today
    return await load_standings_in(connection, books, start=start, end=day_after(start), today=today, as_of=as_of)


OFFERS.target_standings = load_standings


async def load_standings_in(
    connection: Connection, books: Books, *, start: date, end: date, today: date, as_of: date | None
) -> list[TargetStanding]:
    """Return the standing of each target in its last period that has days in `[start, end)`, ordered by id.

    today: the running day or, with `as_of`, that day. Raises Invalid for too many targets.
    """
    stretches_by_id = await run_plan(connection, load_all_stretches(as_of))
    return await judge_targets(connection, books, stretches_by_id, start=start, end=end, today=today, as_of=as_of)


async def judge_targets(
    connection: Connection,
    books: Books,
    stretches_by_id: Mapping[str, Sequence[TargetStretch]],
    *,
    start: date,
    end: date,
    today: date,
    as_of: date | None,
) -> list[TargetStanding]:
    """Return the standing of each of some targets, as `load_standings_in` does of all."""
    place_target = partial(place_in, start=start, end=end, calendar=books.calendar, today=today)
    histories = [
        TargetHistory(placement, earlier_periods(placement, calendar=books.calendar, today=today), stretches)
        for _, stretches in sorted(stretches_by_id.items())
        if (placement := place_target(stretches)) is not None
    ]
    if len(histories) > _MAX_STANDINGS:
        detail = f"More than {_MAX_STANDINGS:,} targets held in the range. Choose a shorter one."
        raise Invalid.at("/query/period", detail, code="too_many_targets")
    # As of the running day is everything that is recorded.
    recorded_by = as_of if as_of is not None and as_of < books.today() else None
    requests = [request for history in histories for request in _requests(history, recorded_by, today=today)]
    numbers = _Numbers(await load_numbers(connection, books, requests, today=today), recorded_by)
    return [_standing(history, numbers, books=books, as_of=as_of, today=today) for history in histories]


def _requests(history: TargetHistory, as_of: date | None, *, today: date) -> list[NumberRequest]:
    """Return the requests of the numbers of a target: of its own period, unless it is still ahead, and of those before it."""
    placement = history.placement
    own = [(placement.period, not placement.is_clipped and placement.definition.granularity != "total")]
    periods = [*((period, True) for period in history.trend), *own]
    return [
        NumberRequest(placement.definition, period, is_whole, as_of)
        for period, is_whole in periods
        if period.start <= today
    ]


def _standing(
    history: TargetHistory,
    numbers: _Numbers,
    *,
    books: Books,
    as_of: date | None,
    today: date,
) -> TargetStanding:
    placement = history.placement
    definition, period, metric = placement.definition, placement.period, placement.definition.find_metric()
    has_begun = period.start <= today
    result = numbers.of(definition, period) if has_begun else Result(None, reason=NOT_BEGUN)
    value, aim = shown_value(result), aim_of(placement, metric, today=today)
    judgment = judge(value, aim)
    amount, target_amount = _amounts(metric, result, aim, books.currency)
    return TargetStanding(
        **_about(placement, metric),
        value=round_number(result.value),
        amount=amount,
        target=round_number(float(aim.target)),
        target_amount=target_amount,
        baseline=show(aim.baseline),
        attainment=show(judgment.attainment),
        expected=show(judgment.expected),
        projection=show(judgment.projection),
        projection_rule=judgment.projection_rule,
        interval=result.interval and (round_number(result.interval[0]), round_number(result.interval[1])),
        sample_size=result.sample_size,
        numerator=round_number(result.numerator),
        denominator=round_number(result.denominator),
        gap=show(judgment.gap),
        status=judgment.status,
        reason=result.reason,
        trend=[
            *_trend(history, numbers, metric, calendar=books.calendar),
            _last_point(period, value, round_number(result.value), aim),
        ],
        question=definition.question_path(period, as_of),
    )


def _about(placement: Placement, metric: Metric | None) -> dict[str, Any]:
    """Return the members of a standing that say what the target is about."""
    definition = placement.definition
    return {
        "id": placement.id,
        "title": definition.title_of(),
        "metric": definition.metric,
        "convention": metric.convention if metric else definition.convention,
        "unit": metric.unit if metric else "",
        "direction": definition.direction,
        "granularity": definition.granularity,
        "group": definition.group.as_json(),
        "period": placement.period,
        "clipped": placement.is_clipped,
    }


def _amounts(metric: Metric | None, result: Result, aim: Aim, currency: str) -> tuple[str | None, str | None]:
    """Return value and target as texts with the decimals of the currency; of metrics in money, else None."""
    if metric is None or metric.unit != "money":
        return None, None
    amount = None if result.amount is None else format_amount(result.amount, currency)
    return amount, format_amount(aim.target * MONEY_SCALE, currency)


def aim_of(placement: Placement, metric: Metric | None, *, today: date, is_over: bool = False) -> Aim:
    """Return what the value of a target in its period is compared with.

    is_over: judge the period as one that has ended, though `today` is its last day: at its end everything has come.
    """
    period = placement.period
    has_flow = metric is not None and is_flow(metric)
    passed_end = min(period.end, day_after(today))
    return Aim(
        sign=placement.definition.sign,
        target=placement.target(metric),
        baseline=placement.baseline(metric),
        path_value=placement.definition.value_at(max(passed_end, period.start)),
        is_flow=has_flow,
        is_final_early=has_flow and metric is not None and metric.range[0] is not None and metric.range[0] >= 0,
        days=placement.days_passed(today),
        all_days=(period.end - period.start).days,
        has_ended=period.complete or is_over,
    )


def _trend(history: TargetHistory, numbers: _Numbers, metric: Metric | None, *, calendar: Calendar) -> list[TrendPoint]:
    """Return the points before the last one."""
    placement, points = history.placement, []
    for period in history.trend:
        target = target_of_whole(history.stretches, period, placement, metric, calendar=calendar)
        result = numbers.of(placement.definition, period)
        value = shown_value(result)
        is_reached = None if None in (value, target) else placement.definition.sign * (value - target) >= 0  # type: ignore[operator]
        points.append(TrendPoint(period, round_number(result.value), show(target), is_reached))
    return points


def _last_point(period: Period, value: Fraction | None, number: float | None, aim: Aim) -> TrendPoint:
    is_reached = None if value is None else aim.reaches(value, aim.target)
    return TrendPoint(period, number, show(aim.target), is_reached)


def show(number: Fraction | None) -> float | None:
    """Return a number as answers show it."""
    return None if number is None else round_number(float(number))
