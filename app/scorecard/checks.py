"""The checks of a target before it is stored: what its fields say together, and the names that it uses."""

from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal

from app.accounts.filters import Filter, parse_filter
from app.accounts.recorded_names import AttributeUse, attribute_faults
from app.accounts.segments import load_segment_history, unknown_segment
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import normalize_id
from app.core.names import Fault, build_fault
from app.core.periods import FIRST_DAY, LAST_END, Calendar
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.ledger.dimension_names import dimension_faults
from app.ledger.sums.selection import ENTRY_DIMENSIONS
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.describe import unknown_convention, unknown_metric
from app.metrics.parameters import Parameters
from app.metrics.question_names import names_of
from app.scorecard.body import TargetBody, fields_in
from app.scorecard.definition import DATED, LINEAR, STEP, DatedTarget, Definition, TargetGroup

_MAX_MONEY = Decimal(100_000_000_000)
_MONEY_DECIMALS = 4
_REQUIRED = ("metric", "granularity", "value")
# Of the path `linear`, and of one period over the whole range: without them, the same body would be another target tomorrow.
_LINEAR_REQUIRES = ("baseline", "from", "until")
_TOTAL_REQUIRES = ("from", "until")


def check_fields(
    body: TargetBody, faults: list[Fault], *, calendar: Calendar, today: date
) -> tuple[Definition | None, list[Fault]]:
    """Return the definition and no faults; or none, and all faults that need no data, after those that are known already."""
    parts = _Parts(body, fields_in(faults))
    all_faults = [*faults, *parts.find_faults(calendar=calendar, today=today)]
    return (None if all_faults else parts.definition(calendar=calendar, today=today)), all_faults


class _Parts:
    """The fields of a target that are valid alone. invalid: the names of the others, which get no further faults."""

    def __init__(self, body: TargetBody, invalid: Collection[str]) -> None:
        self.body, self.invalid = body, invalid
        self.metric = self._find_metric()
        self.filter: Filter | None = None
        self.filter_faults: list[Fault] = []
        if body.filter is not None:
            try:
                self.filter = parse_filter(normalize_id(body.filter), pointer="/filter")
            except Invalid as invalid_filter:
                self.filter_faults = invalid_filter.faults

    def _find_metric(self) -> Metric | None:
        metric, convention = METRICS.get(self.body.metric or ""), self.body.convention
        if metric is None or convention in (None, DEFAULT):
            return metric
        return metric.conventions.get(convention or "")

    def find_faults(self, *, calendar: Calendar, today: date) -> Iterator[Fault]:
        """Yield all faults, in the order of the fields."""
        for name in _REQUIRED:
            if name not in self.invalid and getattr(self.body, name) is None:
                yield _missing(name)
        yield from self._name_faults()
        yield from self.filter_faults
        yield from self._direction_faults()
        yield from self._value_faults()
        yield from self._day_faults(self.since(calendar=calendar, today=today))

    def _name_faults(self) -> Iterator[Fault]:
        body = self.body
        if body.metric is None:
            return
        if body.metric not in METRICS:
            yield unknown_metric(body.metric, "/metric")
            return
        if self.metric is None:
            yield unknown_convention(METRICS[body.metric], body.convention or "", "/convention")
            return
        for name in ENTRY_DIMENSIONS:
            if getattr(body, name) is not None and name not in self.metric.dimensions:
                detail = f"The metric has no {name}. GET /v1/metrics lists `dimensions`."
                yield build_fault(f"/{name}", detail, code="unknown_dimension")

    def _direction_faults(self) -> Iterator[Fault]:
        if self.metric is None or "direction" in self.invalid:
            return
        own, chosen = self.metric.better, self.body.direction
        if own not in ("up", "down") and chosen is None:
            yield _missing(
                "direction", " The metric does not say whether higher (up) or lower (down) values are better."
            )
        elif own in ("up", "down") and chosen not in (None, own):
            detail = f'Of this metric {"higher" if own == "up" else "lower"} values are better. Leave "direction" out.'
            yield build_fault("/direction", detail, code="other_direction")

    @property
    def direction(self) -> str | None:
        if self.metric is None or self.metric.better in ("up", "down"):
            return self.metric.better if self.metric else None
        return self.body.direction

    def _value_faults(self) -> Iterator[Fault]:
        numbers = [("/value", self.body.value), ("/baseline", self.body.baseline)]
        numbers += [(f"/path/{index}/value", value) for index, (_, value) in enumerate(self._dated_values())]
        for pointer, number in numbers:
            if number is not None and self.metric is not None and (detail := _nonsense(self.metric, number)):
                yield build_fault(pointer, detail, code="impossible_value")
        baseline, sign = self.body.baseline, -1 if self.direction == "down" else 1
        if baseline is None or self.direction is None:
            return
        for pointer, number in numbers:
            if pointer != "/baseline" and number is not None and sign * (number - baseline) <= 0:
                side = "below" if sign > 0 else "above"
                detail = f"The baseline must be {side} every target, since it counts as 0% of it."
                yield build_fault("/baseline", detail, code="baseline")
                return

    def _dated_values(self) -> list[tuple[date, Decimal]]:
        path = self.body.path
        return [(item.until, item.value) for item in path] if isinstance(path, list) else []

    def _day_faults(self, since: date | None) -> Iterator[Fault]:
        body = self.body
        required: dict[str, str] = dict.fromkeys(_TOTAL_REQUIRES, ' It is needed for the granularity "total".')
        required = required if body.granularity == "total" else {}
        if body.path == LINEAR:
            required |= dict.fromkeys(_LINEAR_REQUIRES, ' It is needed for the path "linear".')
        values = {"baseline": body.baseline, "from": body.since, "until": body.until}
        yield from (
            _missing(name, why) for name, why in required.items() if values[name] is None and name not in self.invalid
        )
        days = {"from": body.since, "until": body.until}
        outside = [name for name, day in days.items() if day is not None and not FIRST_DAY <= day <= LAST_END]
        for name in outside:
            yield build_fault(f"/{name}", "The day must lie within the years 1970 to 9998.", code="invalid_period")
        if not outside and since is not None and body.until is not None and body.until <= since:
            detail = f'"until" must be later than {since}, when the target begins, because the end is excluded.'
            yield build_fault("/until", detail, code="invalid_period")
        yield from self._path_faults(since)

    def _path_faults(self, since: date | None) -> Iterator[Fault]:
        if isinstance(self.body.path, list) and self.body.granularity == "total":
            yield build_fault("/path", 'One period has one target. Leave "path" out.', code="path")
            return
        before = since
        for index, (day, _) in enumerate(self._dated_values()):
            pointer = f"/path/{index}/until"
            if before is not None and day <= before:
                detail = "The days of a path must increase, and lie after the first day of the target."
                yield build_fault(pointer, detail, code="path")
            elif self.body.until is not None and day >= self.body.until:
                detail = 'The day must be before "until", the end of the target. Its last target is "value".'
                yield build_fault(pointer, detail, code="path")
            before = day if before is None else max(before, day)

    def since(self, *, calendar: Calendar, today: date) -> date | None:
        """Return the first day on which the target holds; None if that is not known."""
        if self.body.since is not None or "from" in self.invalid:
            return self.body.since
        granularity = self.body.granularity
        if granularity is None or granularity == "total":
            return None
        return calendar.unit_start(calendar.unit_number(today, granularity), granularity)

    def definition(self, *, calendar: Calendar, today: date) -> Definition:
        """Return the definition. There must be no faults."""
        body, metric, since = self.body, self.metric, self.since(calendar=calendar, today=today)
        if metric is None or since is None or self.direction is None or body.granularity is None or body.value is None:
            raise ValueError("a target with faults has no definition")
        filter = self.filter.text if self.filter else None
        return Definition(
            metric=metric.name,
            convention=metric.convention,
            group=TargetGroup(body.segment, filter, body.subject, body.channel),
            granularity=body.granularity,
            value=body.value,
            direction=self.direction,
            baseline=body.baseline,
            since=since,
            until=body.until,
            shape=DATED if isinstance(body.path, list) else body.path or STEP,
            dated_targets=tuple(DatedTarget(*part) for part in self._dated_values()),
        )


def _missing(name: str, why: str = "") -> Fault:
    return build_fault(f"/{name}", f'Field "{name}" is required.{why}', code="missing")


def _nonsense(metric: Metric, number: Decimal) -> str | None:
    """Return why a metric can never have a value; None if it can."""
    low, high = metric.range
    if (low is not None and number < Decimal(str(low))) or (high is not None and number > Decimal(str(high))):
        limits = (
            f"from {low} to {high}"
            if None not in (low, high)
            else f"{low} or more"
            if high is None
            else f"at most {high}"
        )
        return f"Values of {metric.name} are {limits} ({metric.unit})."
    if metric.unit == "money" and abs(number) >= _MAX_MONEY:
        return "An amount must be below 100 billion."
    if metric.unit == "money" and round(number, _MONEY_DECIMALS) != number:
        return f"An amount has at most {_MONEY_DECIMALS} decimal places."
    return None


async def find_name_faults(connection: Connection, books: Books, body: TargetBody, *, strict: bool) -> list[Fault]:
    """Return a fault for a segment that does not exist and, when it is strict, for each name that was never recorded."""
    faults: list[Fault] = []
    filter = _Parts(body, ()).filter
    if body.segment is not None:
        history = await load_segment_history(connection, None)
        if history.on(body.segment, None) is None:
            faults.append(unknown_segment(body.segment, history.current_names(), "/segment"))
    if not strict:
        return faults
    faults += await run_plan(
        connection, attribute_faults([AttributeUse(key, "/filter") for key in filter.keys] if filter else [])
    )
    metrics = [METRICS[body.metric]] if body.metric in METRICS else []
    parameters = Parameters.model_construct(
        strict=True,
        subject=[body.subject] if body.subject else [],
        channel=[body.channel] if body.channel else [],
        group_by=[],
        segment=[],
        account=[],
    )
    uses = names_of(parameters, metrics, None, {}).dimensions
    advice = "With strict=false it counts as empty."
    plans = [dimension_faults(books.database, use, pointer=f"/{use.dimension}", advice=advice) for use in uses]
    return faults + [fault for own in await run_plan(connection, merge_plans(plans)) for fault in own]
