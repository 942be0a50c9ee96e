"""Where another version of the health model holds, among the periods of a question about health."""

from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.operand import HealthScores
from app.health.versions import load_versions, versions_within
from app.metrics.annotations import Annotation, period_of
from app.metrics.offers import OFFERS
from app.metrics.question import Question


async def load_model_changes(connection: Connection, books: Books, question: Question) -> list[Annotation]:
    """Return an annotation for each version of the model that begins to hold within the periods of the question."""
    metrics = [own for own in question.metrics if any(isinstance(input, HealthScores) for input in own.inputs.values())]
    if not metrics:
        return []
    versions = await run_plan(connection, load_versions())
    changes = versions_within(versions, question.start, question.end, question.selection.as_of)
    return [
        Annotation(
            "health_model",
            metric,
            period_of(question, own.effective_from),
            own.effective_from,
            own.number - 1,
            own.number,
        )
        for metric in metrics
        for own in changes
        if period_of(question, own.effective_from)
    ]


OFFERS.annotations.append(load_model_changes)
