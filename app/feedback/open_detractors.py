"""The detractors whose comments nobody has answered: what the scorecard shows beside the targets.

A comment is answered once it has another status than `open`: somebody works on it, or it is resolved. A note alone is no answer.
Scores without a comment have no status, and are not counted.
"""

from datetime import UTC, date

from app.books.books import Books
from app.database.connection import Connection
from app.database.statements import Statement
from app.database.tables import COMMENT_IS_NOT_BLANK
from app.ledger.streams.feedback import KIND, OPEN, UPDATED, comment_id
from app.ledger.surveys import NPS_DETRACTOR_UP_TO
from app.metrics.offers import OFFERS, OpenItem, OpenItems

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
    SELECT (SELECT count(*) FROM open_comment) AS count, oldest.id, account.id AS account, oldest.occurred_at
    FROM (SELECT) AS always LEFT JOIN LATERAL (
        SELECT * FROM open_comment ORDER BY occurred_at, account_id, id LIMIT 1) AS oldest ON true
    LEFT JOIN account ON account.account_id = oldest.account_id
    """)


async def load_open_detractors(connection: Connection, books: Books, *, as_of: date | None = None) -> OpenItems:
    """Return the comments of detractors that are open, now or at the end of the day `as_of`."""
    day = as_of or books.today()
    [row] = await connection.execute(_OPEN.text, {"as_of": day})
    oldest = None
    if row.id is not None:
        occurred_at = row.occurred_at.astimezone(UTC)
        days = max(0, (day - books.calendar.day(occurred_at)).days)
        oldest = OpenItem(comment_id(row.account, row.id), row.account, occurred_at, days)
    return OpenItems(row.count, oldest, _LINK if as_of is None else None)


OFFERS.open_detractors = load_open_detractors
