"""How a past number was restated after its period's end: from what to what, and by which events."""

from dataclasses import replace
from typing import Any

from app.audit.causes import causes
from app.audit.changes import Change, changes
from app.books.books import Books
from app.database.connection import Connection
from app.metrics.question import Question
from app.metrics.rows import Row, page, rounded, row_in


async def restatements(
    books: Books, question: Question, *, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """A page of the changes, by period, group and day, and the cursor of the next page.

    A number is restated when its value is another at the end of a day than it was at the end of the one before, from the
    day after the period's last on. Raises Invalid when there are more than a thousand days to look at.
    """
    ended = tuple(period for period in question.periods if period.complete)
    if not ended:
        return [], None
    question = replace(question, periods=ended, totals=False, compare=None)

    async def look(connection: Connection) -> tuple[list[Row], str | None]:
        here, following = page(await changes(connection, books, question), limit=limit, cursor=cursor)
        events = await causes(connection, question, here, calendar=books.calendar)
        return [_row(question, *found) for found in zip(here, events, strict=True)], following

    return await books.database.read(look)


def _row(question: Question, one: Change, events: list[dict[str, Any]] | None) -> Row:
    before, after = one.before, one.after
    change = None if before.value is None or after.value is None else rounded(after.value - before.value)
    return {
        "metric": one.row.metric.name,
        **row_in(one.row.period, one.row.group, question),
        "recorded_on": one.recorded_on,
        "from": rounded(before.value),
        "to": rounded(after.value),
        "change": change,
        "from_numerator": rounded(before.numerator),
        "from_denominator": rounded(before.denominator),
        "to_numerator": rounded(after.numerator),
        "to_denominator": rounded(after.denominator),
        "events": events,
    }
