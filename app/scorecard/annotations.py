"""Where a target has changed, among the periods of a question about its metric."""

from itertools import pairwise
from typing import Any

from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.annotations import Annotation, period_of
from app.metrics.define import DEFAULT, METRICS, Metric
from app.metrics.number_source import NumberGroup
from app.metrics.offers import OFFERS
from app.metrics.question import Question
from app.scorecard.definition import Definition
from app.scorecard.versions import load_all_stretches


async def load_target_changes(connection: Connection, books: Books, question: Question) -> list[Annotation]:
    """Return an annotation for each change of a target that is about numbers of the question."""
    if question.selection.accounts is not None:
        return []
    targets = await run_plan(connection, load_all_stretches(question.selection.as_of))
    annotations: list[Annotation] = []
    for id, stretches in targets.items():
        for earlier, later in pairwise(stretches):
            period = period_of(question, later.start)
            group = _group_of(question, later.definition)
            if period is None or group is None or earlier.definition.value == later.definition.value:
                continue
            values = float(earlier.definition.value), float(later.definition.value)
            annotations += [
                Annotation("target", metric, period, later.start, *values, group=group, more={"name": id})
                for metric in question.metrics
                if _is_about(later.definition, metric)
            ]
    return annotations


def _is_about(definition: Definition, metric: Metric) -> bool:
    convention = METRICS[metric.name].convention if definition.convention == DEFAULT else definition.convention
    return (definition.metric, convention) == (metric.name, metric.convention)


def _group_of(question: Question, definition: Definition) -> dict[str, Any] | None:
    """Return the group of the rows that a target is about; None where the question has no such rows."""
    selection, own = question.selection, definition.group
    if question.granularity != definition.granularity:
        return None
    group: dict[str, Any] = {"segment": own.segment} if own.segment else {}
    filter = selection.filter.text if selection.filter else None
    subject, channel = (next(iter(names), None) for names in (selection.subjects, selection.channels))
    is_same = own == NumberGroup(own.segment, filter, subject, channel) and selection.group_by == tuple(group)
    return group if is_same and max(len(selection.subjects), len(selection.channels)) < 2 else None


OFFERS.annotations.append(load_target_changes)
