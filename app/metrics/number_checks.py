"""The checks of what a number is about, for targets and alerts: the metric, its parts, and the names in it."""

from collections.abc import Collection, Iterator
from decimal import Decimal

from app.accounts.filters import Filter, parse_filter
from app.accounts.recorded_names import AttributeUse, attribute_faults
from app.accounts.segments import load_segment_history, unknown_segment
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import normalize_id
from app.core.names import Fault, build_fault
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.ledger.dimension_names import dimension_faults
from app.ledger.sums.selection import ENTRY_DIMENSIONS
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.describe import unknown_convention, unknown_metric
from app.metrics.number_body import SourceFields
from app.metrics.number_source import NumberGroup
from app.metrics.parameters import Parameters
from app.metrics.question_names import names_of

_MAX_MONEY = Decimal(100_000_000_000)
_MONEY_DECIMALS = 4


class SourceParts:
    """The fields of a body that say what a number is about, as far as they are valid alone."""

    def __init__(self, body: SourceFields) -> None:
        self._body = body
        self.metric = self._find_metric()
        self.filter: Filter | None = None
        self._filter_faults: list[Fault] = []
        if body.filter is not None:
            try:
                self.filter = parse_filter(normalize_id(body.filter), pointer="/filter")
            except Invalid as invalid_filter:
                self._filter_faults = invalid_filter.faults

    def _find_metric(self) -> Metric | None:
        metric, convention = METRICS.get(self._body.metric or ""), self._body.convention
        if metric is None or convention in (None, DEFAULT):
            return metric
        return metric.conventions.get(convention or "")

    @property
    def group(self) -> NumberGroup:
        """The group, with the canonical text of the filter."""
        body = self._body
        return NumberGroup(body.segment, self.filter.text if self.filter else None, body.subject, body.channel)

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the names that the catalogue decides about, and of the filter."""
        yield from self._name_faults()
        yield from self._filter_faults

    def _name_faults(self) -> Iterator[Fault]:
        body = self._body
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


def missing_fields(body: SourceFields, names: Collection[str], invalid: Collection[str]) -> Iterator[Fault]:
    """Yield a fault for each required field that is missing. invalid: the names of those that have faults already."""
    yield from (missing(name) for name in names if name not in invalid and getattr(body, name) is None)


def missing(name: str, why: str = "") -> Fault:
    """Return the fault of a required field that is missing. why: a further sentence."""
    return build_fault(f"/{name}", f'Field "{name}" is required.{why}', code="missing")


def fields_in(faults: Collection[Fault]) -> set[str]:
    """Return the names of the top-level fields that have a fault."""
    return {fault["pointer"].split("/")[1] for fault in faults if fault["pointer"]}


def why_impossible(metric: Metric, number: Decimal) -> str | None:
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
    return why_impossible_amount(metric, number)


def why_impossible_amount(metric: Metric, number: Decimal) -> str | None:
    """Return why a number can never be an amount of money, if the metric is one; None if it can."""
    if metric.unit == "money" and abs(number) >= _MAX_MONEY:
        return "An amount must be below 100 billion."
    if metric.unit == "money" and round(number, _MONEY_DECIMALS) != number:
        return f"An amount has at most {_MONEY_DECIMALS} decimal places."
    return None


async def find_name_faults(connection: Connection, books: Books, body: SourceFields, *, strict: bool) -> list[Fault]:
    """Return a fault for a segment that does not exist and, when it is strict, for each name that was never recorded."""
    faults: list[Fault] = []
    filter = SourceParts(body).filter
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
