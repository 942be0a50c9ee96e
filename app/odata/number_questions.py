"""Which questions answer a filter on `MetricValues`.

The set has a row for each number that could be asked for, which is more than anybody wants. So each property that is a parameter
of questions has a default, which holds unless the filter names the property: metrics by their default convention, whole months
of the last 12 months and the running one, all accounts together.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from app.accounts.filter_tokens import FilterError, split_keys
from app.accounts.listing import day_after
from app.core.errors import Invalid, Malformed, validation_faults
from app.core.names import Fault, build_fault, name_fault, nearest_names
from app.core.period_names import default_range, parse_period
from app.core.periods import FIRST_DAY, GRANULARITIES, LAST_END, Calendar, Range, months_before
from app.metrics.define import METRICS, Metric
from app.metrics.describe import unknown_metric
from app.metrics.parameters import Parameters
from app.odata.evaluate import UNKNOWN, compile_expression
from app.odata.expressions import Expression, Member, count_steps, members_of
from app.odata.restrictions import DayWindow, allowed_days, allowed_values, mentioned_values

_MAX_QUESTIONS = 24
# To find the questions: nothing else goes on meanwhile.
_MAX_STEPS = 1_000_000
DEFAULT_GRANULARITY = "month"
_DEFAULT_MONTHS = 12
# Properties that narrow a question, and make it group by what they are, by the parameter of questions.
NARROWING = {"segment": "segment", "account": "account_id", "subject": "subject", "channel": "channel"}


class QuestionKey(NamedTuple):
    """What tells the questions of one filter apart, in the order of their rows.

    granularity: its number in GRANULARITIES. group_by: as it is written in the rows. convention: empty for the default ones.
    """

    granularity: int
    group_by: str
    convention: str


class NumberQuestion(NamedTuple):
    """A question. groupings: those of `group_by`, and those by which it is narrowed. days: whole periods."""

    key: QuestionKey
    metrics: tuple[str, ...]
    groupings: tuple[str, ...]
    narrowing: Mapping[str, Sequence[str]]
    days: Range

    def parameters(self, more: Mapping[str, Any]) -> Parameters:
        """Return the parameters of the question. more: further ones. Raises Malformed."""
        values: dict[str, Any] = {
            "granularity": GRANULARITIES[self.key.granularity],
            "start": self.days[0].isoformat(),
            "end": self.days[1].isoformat(),
            "group_by": list(self.groupings),
            **self.narrowing,
            **more,
        }
        try:
            parameters = Parameters.model_validate(values)
        except ValidationError as error:
            errors = [own | {"loc": ("query", *own["loc"])} for own in error.errors(include_url=False)]
            raise Malformed.of(validation_faults(errors), code="invalid") from None
        parameters.convention = self.key.convention or None
        # They are names of attributes already, which may have commas.
        parameters.group_by = list(self.groupings)
        return parameters


def plan_questions(filter: Expression | None, *, calendar: Calendar, today: date) -> list[NumberQuestion]:
    """Return the questions whose rows a filter can select, in the order of their keys. Raises Malformed."""
    _check_names(filter)
    window = allowed_days(filter, lambda name: _days_of_period(name, calendar, today))
    if window.low is not None and window.high is not None and window.low >= window.high:
        return []
    narrowing = _narrowing(filter)
    metrics_by_key = _choose(filter, narrowing)
    if len(metrics_by_key) > _MAX_QUESTIONS:
        raise _too_complex()
    questions: list[NumberQuestion] = []
    for key, metrics in sorted(metrics_by_key.items()):
        days = _whole_periods(window, GRANULARITIES[key.granularity], calendar=calendar, today=today)
        if days is not None:
            groupings = _groupings(key.group_by, narrowing)
            questions.append(NumberQuestion(key, _with_dimensions(metrics, groupings), groupings, narrowing, days))
    return questions


def _too_complex() -> Malformed:
    detail = f"The filter combines more than {_MAX_QUESTIONS} granularities, groupings and conventions. Name fewer."
    return Malformed.of([build_fault("/query/$filter", detail, code="too_complex")])


def _check_names(filter: Expression | None) -> None:
    """Raise Malformed for names in the filter that do not exist: the filter would select nothing."""
    conventions = sorted({name for metric in METRICS.values() for name in metric.conventions})
    faults = [
        unknown_metric(name, "/query/$filter")
        for name in mentioned_values(filter, "metric")
        if name is not None and name not in METRICS
    ]
    faults += _unknown(filter, "granularity", GRANULARITIES, code="invalid_granularity")
    faults += _unknown(filter, "convention", conventions, code="unknown_convention")
    if faults:
        raise Malformed.of(faults, subject="The filter")


def _unknown(filter: Expression | None, name: str, existing: Sequence[str], *, code: str) -> list[Fault]:
    sentence, advice = f"Unknown {name}{{}}.", f"There are: {', '.join(existing)}."
    return [
        name_fault("/query/$filter", sentence, value, nearest_names(value, existing), code=code, advice=advice)
        for value in mentioned_values(filter, name)
        if value is not None and value not in existing
    ]


def _days_of_period(name: str, calendar: Calendar, today: date) -> Range | None:
    try:
        return parse_period(name, calendar=calendar, today=today)
    except Invalid:
        return None


def _narrowing(filter: Expression | None) -> dict[str, list[str]]:
    """Return the values of the properties to which the filter limits a question, by the question's parameters."""
    limits = {parameter: allowed_values(filter, name) for parameter, name in NARROWING.items()}
    return {
        parameter: sorted(values)
        for parameter, values in limits.items()
        if values and all(isinstance(value, str) and value for value in values)
    }


def _choose(filter: Expression | None, narrowing: Mapping[str, Any]) -> dict[QuestionKey, list[Metric]]:
    """Return the metrics for which the filter may be true, by the questions that have to be asked."""
    names = members_of(filter)
    is_possible = _possibility(filter)
    granularities = GRANULARITIES if "granularity" in names else (DEFAULT_GRANULARITY,)
    group_bys: list[str] = [",".join(narrowing)]
    if "group_by" in names:
        group_bys = sorted({"", *(value for value in mentioned_values(filter, "group_by") if isinstance(value, str))})
    entry_count = sum(len(metric.conventions) if "convention" in names else 1 for metric in METRICS.values())
    if entry_count * len(granularities) * len(group_bys) * count_steps(filter) > _MAX_STEPS:
        raise _too_complex()
    metrics_by_key: dict[QuestionKey, list[Metric]] = defaultdict(list)
    for metric in METRICS.values():
        for name, entry in metric.conventions.items() if "convention" in names else [("", metric)]:
            for granularity in granularities:
                for group_by in group_bys:
                    row = {
                        "metric": metric.name,
                        "unit": entry.unit,
                        "convention": entry.convention,
                        "granularity": granularity,
                        "group_by": group_by,
                    }
                    if is_possible(row):
                        key = QuestionKey(GRANULARITIES.index(granularity), group_by, name)
                        metrics_by_key[key].append(entry)
    return metrics_by_key


def _possibility(filter: Expression | None) -> Any:
    """Return the function that says whether a filter may be true for a row of which only some properties are known."""
    if filter is None:
        return lambda row: True

    def read(member: Member) -> Any:
        name = member.prop.name
        return lambda row: row.get(name, UNKNOWN)

    evaluate = compile_expression(filter, read)
    return lambda row: evaluate(row) in (True, UNKNOWN)


def _groupings(group_by: str, narrowing: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        names = split_keys(group_by)
    except FilterError as error:
        raise Malformed.of([build_fault("/query/group_by", str(error), code="invalid_group_by")]) from None
    return tuple(dict.fromkeys([*names, *narrowing]))


def _with_dimensions(metrics: Sequence[Metric], groupings: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the metrics that have the dimensions, or of all if none has them, which is an error of the question."""
    dimensions = {name for name in groupings if name in ("subject", "channel")}
    chosen = [metric.name for metric in metrics if dimensions <= metric.dimensions.keys()]
    return tuple(sorted(chosen or [metric.name for metric in metrics]))


def _whole_periods(window: DayWindow, unit: str, *, calendar: Calendar, today: date) -> Range | None:
    """Return the days of the whole periods that a window touches, with the default where it has no limit; None: no days."""
    low, high = window
    if low is None and high is None:
        low, high = default_range(calendar=calendar, today=today)
    elif low is None and high is not None:
        low = months_before(max(min(high, LAST_END), FIRST_DAY + timedelta(days=400)), _DEFAULT_MONTHS).replace(day=1)
    elif high is None:
        high = day_after(today)
    low, high = (min(max(day, FIRST_DAY), LAST_END) for day in (low, high))  # type: ignore[type-var]
    assert low is not None and high is not None
    if low >= high:
        return None
    if unit == "total":
        return low, high
    first, stop = calendar.unit_number(low, unit), calendar.unit_number(high - timedelta(days=1), unit) + 1
    start, end = calendar.unit_range(first, stop, unit)
    return max(start, FIRST_DAY), min(end, LAST_END)
