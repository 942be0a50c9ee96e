"""Which numbers of a question were restated after their periods had ended."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from app.audit.changes import Change, find_changes
from app.books.books import Books
from app.core.errors import Invalid
from app.database.connection import Connection
from app.metrics.annotations import Annotation
from app.metrics.define import Metric
from app.metrics.offers import OFFERS
from app.metrics.question import Question
from app.metrics.rows import format_group, round_number

# A day takes some milliseconds, and whoever looks at a chart has asked for numbers, not for their history.
_MAX_DAYS = 100


async def load_restated_numbers(connection: Connection, books: Books, question: Question) -> list[Annotation]:
    """Return an annotation for each number that was restated, from its first value to its last one."""
    periods = tuple(period for period in question.periods if period.complete)
    annotations: list[Annotation] = []
    for metric in question.metrics if periods else ():
        about_ended = replace(question, metrics=(metric,), periods=periods, totals=False, compare=None)
        try:
            changes = await find_changes(connection, books, about_ended, max_days=_MAX_DAYS)
        except Invalid as error:
            # Numbers can be answered whose restatements take too long to find. They are shown without.
            annotations.append(Annotation("unknown_restatements", metric, more={"detail": error.detail}))
            continue
        annotations += _annotate(metric, about_ended, changes)
    return annotations


def _annotate(metric: Metric, question: Question, changes: Sequence[Change]) -> Iterator[Annotation]:
    # The changes of a row are beside each other, in the order of their days.
    for _, changes_of_row in groupby(changes, key=lambda change: change.row.name):
        own = list(changes_of_row)
        first, last = own[0], own[-1]
        yield Annotation(
            "restatement",
            metric,
            last.row.period,
            last.recorded_on,
            round_number(first.before.value),
            round_number(last.after.value),
            group=format_group(last.row.group, question),
            more={"changes": len(own)},
        )


OFFERS.annotations.append(load_restated_numbers)
