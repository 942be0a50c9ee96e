"""The names in a question that only data can bring: attributes, accounts, subjects and channels.

One that was never recorded is an error, unless the question is not strict. The check is part of the round trip that loads the
sums, so that it costs a question next to nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.accounts.filters import Filter
from app.accounts.recorded_names import NOT_STRICT, AttributeUse, account_faults, attribute_faults
from app.core.errors import Invalid
from app.core.names import Fault
from app.database.pool import Database
from app.database.query_plan import QueryPlan, merge_plans
from app.ledger.dimension_names import DimensionUse, dimension_faults
from app.ledger.measures import related_measures
from app.ledger.sums.selection import ENTRY_DIMENSIONS
from app.metrics.define import Metric
from app.metrics.parameters import Parameters

_OTHER_GROUPINGS = ("account", "segment", *ENTRY_DIMENSIONS)


@dataclass(frozen=True, slots=True)
class QuestionNames:
    """What has to be recorded for a question to be answered: nothing by default."""

    attributes: tuple[AttributeUse, ...] = ()
    accounts: tuple[str, ...] = ()
    dimensions: tuple[DimensionUse, ...] = ()


NO_NAMES = QuestionNames()


def names_of(
    parameters: Parameters, metrics: Sequence[Metric], filter: Filter | None, segments: Mapping[str, Filter]
) -> QuestionNames:
    """Return the names in the parameters of a question. segments: those that it is about."""
    if not parameters.strict:
        return NO_NAMES
    uses = [AttributeUse(key, "/query/filter") for key in (filter.keys if filter else ())]
    uses += [
        AttributeUse(name, "/query/group_by", other_names=_OTHER_GROUPINGS)
        for name in parameters.group_by
        if name not in _OTHER_GROUPINGS
    ]
    pointer = "/query/segment" if parameters.segment else "/query/group_by"
    uses += [AttributeUse(key, pointer, name) for name, segment in segments.items() for key in segment.keys]
    values = {"subject": parameters.subject, "channel": parameters.channel}
    dimensions = (_dimension_use(name, tuple(own), metrics) for name, own in values.items() if own)
    return QuestionNames(tuple(uses), tuple(parameters.account), tuple(use for use in dimensions if use))


def _dimension_use(dimension: str, values: tuple[str, ...], metrics: Sequence[Metric]) -> DimensionUse | None:
    """Return the use of a dimension; None if no metric has it, which is a fault of its own."""
    metrics = [metric for metric in metrics if dimension in metric.dimensions]
    if not metrics:
        return None
    operands = [operand for metric in metrics for operand in metric.operands if not operand.ignores_dimensions]
    kinds = dict.fromkeys(metric.dimensions["subject"] for metric in metrics if "subject" in metric.dimensions)
    measures = frozenset[str]().union(*(operand.label_texts for operand in operands))
    fixed_subjects = frozenset[str]().union(*(operand.subject_texts for operand in operands))
    values = tuple(value for value in values if dimension != "subject" or value not in fixed_subjects)
    return DimensionUse(
        dimension, values, related_measures(measures, dimension), tuple(kinds) if dimension == "subject" else ()
    )


def check_names(database: Database, names: QuestionNames) -> QueryPlan[None]:
    """Raise Invalid for names that were never recorded, with all of them."""
    if faults := (yield from name_faults(database, names)):
        raise Invalid.of(faults, subject="The question")


def name_faults(database: Database, names: QuestionNames) -> QueryPlan[list[Fault]]:
    """Return a fault for each name that was never recorded."""
    if names == NO_NAMES:
        return []
    plans: list[QueryPlan[Any]] = [attribute_faults(names.attributes), account_faults(names.accounts, "/query/account")]
    plans += [
        dimension_faults(database, use, pointer=f"/query/{use.dimension}", advice=NOT_STRICT)
        for use in names.dimensions
    ]
    return [fault for faults in (yield from merge_plans(plans)) for fault in faults]
