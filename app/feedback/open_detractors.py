"""The detractors whose comments nobody has answered: what the scorecard shows beside the targets.

A comment is answered once it has another status than `open`: somebody works on it, or it is resolved. A note alone is no answer.
Scores without a comment have no status, and are not counted.
"""

from datetime import UTC, date
from typing import Any

from app.books.books import Books
from app.database.connection import Connection
from app.database.statements import Statement
from app.database.tables import COMMENT_IS_NOT_BLANK
from app.ledger.streams.feedback import KIND, OPEN, UPDATED, comment_id
from app.ledger.surveys import NPS_DETRACTOR_UP_TO
from app.metrics.offers import OFFERS, OpenAccount, OpenItem, OpenItems

_LINK = "/v1/feedback?class=detractor&status=open"

# As of a day, all that was recorded by its end counts, also what was retracted later.
# The comments that are retracted now are read by an index of their own.
_OPEN = Statement(f"""
    WITH comment AS (
        SELECT account_id, id, occurred_at, recorded_on, data FROM event WHERE {COMMENT_IS_NOT_BLANK} AND retracted_on IS NULL
        UNION ALL
        SELECT account_id, id, occurred_at, recorded_on, data FROM event WHERE {COMMENT_IS_NOT_BLANK}
            AND retracted_on > %(as_of)s),
    detractor AS (
        SELECT comment.account_id, comment.id, comment.occurred_at
        FROM comment JOIN survey ON survey.id = comment.data ->> 'survey' AND survey.kind = 'nps'
        WHERE (comment.data ->> 'score')::integer <= {NPS_DETRACTOR_UP_TO}
            AND comment.recorded_on <= %(as_of)s),
    open_comment AS (
        SELECT detractor.* FROM detractor CROSS JOIN LATERAL (
            SELECT (array_agg(data ->> 'status' ORDER BY occurred_at DESC, id DESC))[1] AS status FROM event
            WHERE event.account_id = detractor.account_id AND event.stream = '{KIND} ' || detractor.id
                AND event.type = '{UPDATED}' AND event.data ? 'status' AND event.recorded_on <= %(as_of)s
                AND (event.retracted_on IS NULL OR event.retracted_on > %(as_of)s)) AS latest
        WHERE coalesce(latest.status, '{OPEN}') = '{OPEN}')
    SELECT account.id AS account, own.count, own.total, own.oldest_at, own.oldest_id
    FROM (
        SELECT account_id, count(*) AS count, sum(count(*)) OVER () AS total, min(occurred_at) AS oldest_at,
            (array_agg(id ORDER BY occurred_at, id))[1] AS oldest_id
        FROM open_comment GROUP BY account_id ORDER BY oldest_at, account_id LIMIT %(limit)s) AS own
    JOIN account ON account.account_id = own.account_id
    ORDER BY own.oldest_at, own.account_id
    """)


async def load_open_detractors(
    connection: Connection, books: Books, *, as_of: date | None = None, is_summary: bool = False
) -> OpenItems:
    """Return the comments of detractors that are open, now or at the end of the day `as_of`. is_summary: see `LoadOpenItems`."""
    day = as_of or books.today()
    rows = await connection.execute(_OPEN.text, {"as_of": day, "limit": 1 if is_summary else None})

    def oldest(row: Any) -> OpenItem:
        occurred_at = row.oldest_at.astimezone(UTC)
        days = max(0, (day - books.calendar.day(occurred_at)).days)
        return OpenItem(comment_id(row.account, row.oldest_id), row.account, occurred_at, days)

    count = int(rows[0].total) if rows else 0
    return OpenItems(count, [OpenAccount(row.count, oldest(row)) for row in rows], _LINK if as_of is None else None)


OFFERS.open_detractors = load_open_detractors
