"""Annotations of numbers: what a reader has to know of a period, besides its number.

A number was restated after its period had ended, or what it is computed or judged by has changed within the period. Features
know these things; each offers a function that returns those of a question.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Period
from app.database.connection import Connection
from app.http.openapi import list_schema, map_schema, name_schema
from app.http.vocabularies import add_vocabulary
from app.metrics.define import Metric
from app.metrics.offers import OFFERS
from app.metrics.question import Question

KINDS = {
    "restatement": "The number was restated after its period had ended, the last time on the day `on`.",
    "target": "The target of the metric has changed on the day `on`; `name` is its id.",
    "health_model": "Another version of the health model holds from the day `on`.",
    "unknown_restatements": "Restatements could not be found; `detail` says why.",
}
add_vocabulary("AnnotationKind", "What an annotation says.", lambda: KINDS)

_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
ANNOTATIONS_SCHEMA = list_schema(
    "Annotation",
    {"kind": name_schema("AnnotationKind"), "metric": name_schema("MetricName"), "convention": _TEXT},
    {
        "group": map_schema("AnnotatedGroup", {"type": ["string", "number", "boolean", "null"]})
        | {"description": "The group of the row that it is about. Left out: all rows of the period."},
        "period": _TEXT,
        "start": _DAY,
        "end": _DAY,
        "on": _DAY,
        "from": _NUMBER | {"description": "The number, the target or the version before the change."},
        "to": _NUMBER | {"description": "What it was after the change."},
        "changes": {"type": "integer", "description": "Of restatements: on how many days the number has changed."},
        "name": _TEXT,
        "detail": _TEXT,
    },
)


class Annotation(NamedTuple):
    """What is to be known of a row of an answer, or of all rows of a metric in a period.

    group: of the row; None for all. before, after: the number, target or version. more: other members of its JSON.
    """

    kind: str
    metric: Metric
    period: Period | None = None
    on: date | None = None
    before: float | int | None = None
    after: float | int | None = None
    group: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        """Return the annotation as answers have it."""
        members: dict[str, Any] = {
            "kind": self.kind,
            "metric": self.metric.name,
            "convention": self.metric.convention,
        }
        if self.group is not None:
            members["group"] = dict(self.group)
        if self.period is not None:
            members |= {"period": self.period.name, "start": self.period.start, "end": self.period.end}
            members |= {"on": self.on, "from": self.before, "to": self.after}
        return members | dict(self.more)


def period_of(question: Question, day: date) -> Period | None:
    """Return the period of a question that contains a day."""
    return next((period for period in question.periods if period.start <= day < period.end), None)


async def load_annotations(books: Books, question: Question) -> list[dict[str, Any]]:
    """Return what all features know of the numbers of a question, as JSON objects."""

    async def read(connection: Connection) -> list[dict[str, Any]]:
        return [own.as_json() for load in OFFERS.annotations for own in await load(connection, books, question)]

    return await books.database.ask(read) if question.periods else []
