"""The health of one account: its components, each with value, score, weight and contribution, and its history."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from pydantic import Field

from app.accounts.accounts import account_key
from app.books.books import Books
from app.core.errors import Invalid
from app.core.period_names import default_range, parse_range
from app.core.periods import Day, Period, counted_end, split_range
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.health.accounts import HealthScope, check_account, resolve_scope
from app.health.answers import NOT_ENOUGH_DATA, format_score, health_members, money_text
from app.health.flags import flag_finder
from app.health.overrides import load_overrides
from app.health.scores import Contribution, DayScores, score_days
from app.health.versions import ModelVersion, load_versions, version_on, versions_within
from app.http.chart_formats import ChartParameters
from app.http.row_parameters import RowParameters
from app.ledger.sums.account_sums import KnownDay
from app.metrics.results import NOTHING_KNOWN
from app.metrics.rows import round_number

MAX_POINTS = 120
# The points of a year, by the model that comes with the service, are computed faster than a thread begins.
_POINTS_AT_ONCE = 13
_DAY = timedelta(days=1)


class CardParameters(ChartParameters, RowParameters):
    """Parameters of one account's health: the day, and the range of its history."""

    as_of: Day | None = Field(
        None, description="As it was on this day and as it was known at its end (YYYY-MM-DD). Default: today."
    )
    start: Day | None = Field(None, description="First day of the history. Default: that of the last 12 whole months.")
    end: Day | None = Field(None, description="Day after the last day of the history.")
    period: str | None = Field(
        None, max_length=40, description="Range of the history by name, such as `last_12_months` or `2026-Q1`."
    )
    granularity: Literal["day", "week", "month"] = Field(
        "month", description="A point of the history for the end of each of these; of the running one, for today."
    )


class _Point(NamedTuple):
    """A point of the history: the end of a period, or today."""

    period: Period
    day: date


async def account_health(books: Books, account: str, parameters: CardParameters) -> dict[str, Any]:
    """Return the health of an account, all of it from one snapshot. Raises NotFound for an unknown account, and Invalid."""
    scope = await resolve_scope(books, as_of=parameters.as_of)
    points, start, end = _points(books, parameters, scope.at.day)
    return await books.database.ask(
        lambda connection: _load_card(connection, books, account, scope, points, start, end)
    )


async def load_overview_member(connection: Connection, books: Books, account: str, today: date) -> dict[str, Any]:
    """Return the health of an account as its overview has it: that of today, with the history of a year."""
    scope = HealthScope(KnownDay(today, None), None, (), False, True)
    points, start, end = _points(books, CardParameters(), today)
    return await _load_card(connection, books, account, scope, points, start, end)


def _points(books: Books, parameters: CardParameters, today: date) -> tuple[list[_Point], date, date]:
    """Return the points of the history, and its range. Raises Invalid."""
    calendar = books.calendar
    start, end = parse_range(parameters.period, parameters.start, parameters.end, calendar=calendar, today=today)
    default_start, default_end = default_range(calendar=calendar, today=today)
    start, end = start or min(default_start, (end or default_end) - _DAY), end or default_end
    periods = split_range(start, end, granularity=parameters.granularity, calendar=calendar, today=today)
    points = [_Point(period, counted_end(period, today) - _DAY) for period in periods if period.start <= today]
    if len(points) > MAX_POINTS:
        detail = f"A history has at most {MAX_POINTS} points. Use a shorter range or longer periods."
        raise Invalid.at("/query/granularity", detail, code="too_many_periods")
    return points, start, end


async def _load_card(
    connection: Connection,
    books: Books,
    account: str,
    scope: HealthScope,
    points: Sequence[_Point],
    start: date,
    end: date,
) -> dict[str, Any]:
    key, at = account_key(account), scope.at
    await check_account(connection, account, since=at.as_of)
    versions = await run_plan(connection, load_versions())
    now = [KnownDay(point.day, at.as_of) for point in points]
    earlier = [KnownDay(point.day, point.day) for point in points]
    plans: list[QueryPlan[Any]] = [
        score_days(versions, [at, *now, *earlier], accounts=[key]),
        load_overrides(books, at, [key]),
    ]
    items = len(points) * version_on(versions, at.day, at.as_of).model.items // _POINTS_AT_ONCE
    (current, *history), overrides = await run_plan(connection, merge_plans(plans), items=items)
    members = {"account": account, "as_of": at.day, **card_members(current, books.currency)}
    return (
        members
        | {
            "override": overrides[key].as_json(current.version.model) if key in overrides else None,
            "history": [
                _history_point(*three)
                for three in zip(points, history[: len(points)], history[len(points) :], strict=True)
            ],
            "versions": [_mark(version) for version in versions_within(versions, start, end, at.as_of)],
        }
        | ({} if scope.is_known else {"reason": NOTHING_KNOWN.reason})
    )


def card_members(scores: DayScores, currency: str) -> dict[str, Any]:
    """Return an account's health with its components, from the scores of that account alone, which may have none."""
    model = scores.version.model
    if not scores.accounts:
        nothing: dict[str, Any] = {
            "score": None,
            "band": None,
            "coverage": 0.0,
            "flags": [],
            "override": None,
            "reason": NOT_ENOUGH_DATA,
        }
        empty = [Contribution(component, None, None, Fraction(0), 0) for component in model.components]
        return nothing | _about_account(scores, None, currency) | {"components": [show_component(own) for own in empty]}
    members = health_members(scores, 0, None, flag_finder(scores)(0)) | _about_account(scores, 0, currency)
    return members | {"components": [show_component(own) for own in scores.contributions(0)]}


def _about_account(scores: DayScores, index: int | None, currency: str) -> dict[str, Any]:
    segment = None if index is None else scores.segments[index]
    return {
        "customer": index is not None and scores.customers[index],
        "mrr": money_text(0 if index is None else scores.mrr[index], currency),
        "model_version": scores.version.number,
        "weights_of_segment": None if segment is None else scores.version.model.segment_weights[segment].segment,
    }


def show_component(own: Contribution) -> dict[str, Any]:
    """Return a component of an account's health as the API shows it."""
    component = own.component
    return {
        "id": component.id,
        "title": component.name,
        "kind": component.kind,
        "metric": getattr(component, "metric", None),
        "category": component.category,
        "value": round_number(own.value),
        "unit": component.unit,
        "poor": component.poor,
        "good": component.good,
        "score": format_score(own.score),
        "weight": round(float(own.share), 6),
        "contribution": format_score(own.contribution),
    }


def _history_point(point: _Point, now: DayScores, earlier: DayScores) -> dict[str, Any]:
    """Return a point with the score as it is known now, and as it was known then."""
    score, score_then = (scores.scores[0] if scores.accounts else None for scores in (now, earlier))
    return {
        "period": point.period.name,
        "on": point.day,
        "complete": point.period.complete,
        "score": format_score(score),
        "band": now.version.model.band(score),
        "model_version": now.version.number,
        "as_known_then": format_score(score_then),
        "model_version_then": earlier.version.number,
        "restated": score != score_then,
    }


def _mark(version: ModelVersion) -> dict[str, Any]:
    return {name: value for name, value in version.as_json().items() if name != "model"}
