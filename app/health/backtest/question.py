"""The parameters of a back-test, and the question that they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from app.books.books import Books
from app.books.first_day import is_recorded_by
from app.core.errors import FaultList, Invalid
from app.core.period_names import parse_as_of, parse_period, parse_range
from app.core.periods import Calendar, Day, Range
from app.health.backtest.cut_offs import CutOff, Outcome, list_cut_offs
from app.http.chart_formats import ChartParameters
from app.http.row_parameters import RowParameters
from app.metrics.parameters import DEFAULT_ROWS

# More than five years of history hardly add anything to a prediction (Ballings and Van den Poel 2012).
MAX_CUT_OFFS = 60
_DEFAULT_PERIOD = "last_24_months"
_DAY = timedelta(days=1)

# Which model makes the scores.
ModelChoice = Literal["then", "current"]


class CutOffParameters(RowParameters):
    """The parameters of all answers of a back-test: which cut-offs, and what is tested."""

    horizon_days: int = Field(
        90, ge=1, le=730, description="How many days after a cut-off count. A shorter horizon is easier to predict."
    )
    start: Day | None = Field(None, description="The first day, as YYYY-MM-DD. Cut-offs are the first days of months.")
    end: Day | None = Field(None, description="The day after the last day, as YYYY-MM-DD.")
    period: str | None = Field(
        None,
        max_length=40,
        description=f"Range by name, instead of `start` and `end`, such as `2025` or `last_12_months`. It has at most "
        f"{MAX_CUT_OFFS} months. Default: `{_DEFAULT_PERIOD}`.",
    )
    outcome: Outcome = Field(
        "churned",
        description="What the score should have predicted: `churned`, the account was no customer any more at the end of the "
        "horizon; `churned_or_contracted`, its MRR was lower than at the cut-off.",
    )
    model: ModelChoice = Field(
        "then",
        description="`then`: the version of the model that held at each cut-off, as far as was known. `current`: the version "
        "that holds now, over the past. It was not in force, and may have been chosen with knowledge of this very history, so "
        "that is no test out of sample.",
    )
    as_of: Day | None = Field(
        None,
        description="Judge who churned by what was recorded up to the end of this day (YYYY-MM-DD, not after today). Default: "
        "by everything recorded so far. Scores always use what was recorded by their cut-off.",
    )


class BacktestParameters(ChartParameters, CutOffParameters):
    """Parameters of a back-test."""


class BacktestScoreParameters(CutOffParameters):
    """Parameters of the scores of a back-test."""

    limit: int | None = Field(
        None,
        ge=1,
        le=DEFAULT_ROWS,
        description=f"Maximum number of rows per page. Default: {DEFAULT_ROWS:,}; files have all rows.",
    )
    cursor: Annotated[
        str | None, Field(max_length=200, description="The `next` of a page: returns the page after it.")
    ] = None


@dataclass(frozen=True, slots=True)
class BacktestQuestion:
    """A back-test, validated and complete.

    cut_offs: all of the range that are not after today. last_day: today or, with `as_of`, that day. is_known: whether anything
    had been recorded by then.
    """

    start: date
    end: date
    horizon_days: int
    outcome: Outcome
    model: ModelChoice
    cut_offs: Sequence[CutOff]
    as_of: date | None
    today: date
    is_known: bool

    @property
    def last_day(self) -> date:
        return self.as_of or self.today

    def observed_until(self, last_recorded_on: date) -> date:
        """Return the last day on which it is known who churned: it is over, and something was recorded on it or later.

        last_recorded_on: the last day on which anything was recorded, as far as counts. Where data has ceased to come,
        nobody seems to churn.
        """
        return min(self.last_day, self.today - _DAY, last_recorded_on)

    def as_json(self) -> dict[str, Any]:
        """Return the question as the answer repeats it."""
        members = {
            "start": self.start,
            "end": self.end,
            "horizon_days": self.horizon_days,
            "outcome": self.outcome,
            "model": self.model,
            "as_of": self.as_of,
        }
        return {name: value for name, value in members.items() if value is not None}


async def resolve_backtest(books: Books, parameters: CutOffParameters) -> BacktestQuestion:
    """Return the question that the parameters ask, as of today. Raises Invalid with all faults."""
    today, as_of = await books.load_today(as_of=parameters.as_of), parameters.as_of
    faults = FaultList()
    last_day = faults.attempt(lambda: parse_as_of(as_of, today=today), today)
    days = faults.attempt(lambda: _range(parameters, books.calendar, last_day), None)
    cut_offs: list[CutOff] = []
    if days:
        cut_offs = faults.attempt(lambda: _cut_offs(*days, last_day, parameters.horizon_days), [])
    faults.raise_all(subject="The question")
    start, end = days or (last_day, last_day)
    is_known = as_of is None or await is_recorded_by(books.database, books.first_day, as_of)
    return BacktestQuestion(
        start=start,
        end=end,
        horizon_days=parameters.horizon_days,
        outcome=parameters.outcome,
        model=parameters.model,
        cut_offs=cut_offs,
        as_of=as_of,
        today=today,
        is_known=is_known,
    )


def _range(parameters: CutOffParameters, calendar: Calendar, today: date) -> Range:
    start, end = parse_range(parameters.period, parameters.start, parameters.end, calendar=calendar, today=today)
    default_start, default_end = parse_period(_DEFAULT_PERIOD, calendar=calendar, today=today)
    start, end = start or default_start, end or default_end
    if start >= end:
        detail = "`end` must be later than `start`, because the end is excluded. Give both, or a `period`."
        raise Invalid.at("/query/end", detail, code="invalid_period")
    return start, end


def _cut_offs(start: date, end: date, last_day: date, horizon_days: int) -> list[CutOff]:
    """Return the cut-offs within `[start, end)` up to the last day. Raises Invalid where there are none, or too many."""
    cut_offs = list(list_cut_offs(start, min(end, last_day + _DAY), horizon_days=horizon_days))
    if not cut_offs:
        detail = "The range has no first day of a month up to today, and those are the cut-offs. Choose a longer or earlier one."
        raise Invalid.at("/query/period", detail, code="invalid_period")
    if len(cut_offs) > MAX_CUT_OFFS:
        detail = (
            f"The range has {len(cut_offs)} months, of which at most {MAX_CUT_OFFS} are tested. Choose a shorter one."
        )
        raise Invalid.at("/query/period", detail, code="too_many_periods")
    return cut_offs
