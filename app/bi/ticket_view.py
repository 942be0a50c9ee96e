"""The view of support tickets: the rules of `ledger.streams.tickets` in SQL. A test compares the two on random tickets."""

from app.bi.define import ACCOUNT_ID, View, day_of, quote, quote_list
from app.ledger.measures import rank_of
from app.ledger.streams.tickets import KIND, OPENED, REOPENED, REPLIED, RESOLVED, TYPES


def _order() -> str:
    """Return the SQL by which events of a ticket are ordered. The ranks are in the catalogue of event types."""
    ranks = " ".join(f"WHEN {quote(type)} THEN {rank_of(type)}" for type in TYPES)
    return f"event.occurred_at, CASE event.type {ranks} END, event.id"


def ticket_view() -> View:
    """Return the view of tickets."""
    columns = {
        "account_id": ACCOUNT_ID,
        "ticket_id": "Your id of the ticket, unique within its account.",
        "channel": "Where it came from: the first channel of the ticket; null where none was sent.",
        "priority": "Its last priority; null where none was sent.",
        "opened_at": "When it was opened. A condition on this column reads only the tickets of that time.",
        "opened_on": "The day, in the reporting time zone: the ticket counts on it.",
        "month": "First day of the month of opened_on.",
        "first_reply_at": "When an agent replied first; null: not yet.",
        "first_response_seconds": "Seconds that it waited for the first reply, since its opening or the reopening before the "
        "reply.",
        "is_open": "Whether it is open now.",
        "resolved_at": "Its last resolution; null while it is open.",
        "resolved_on": "The day of the last resolution, in the reporting time zone.",
        "resolution_seconds": "Seconds from its opening to the last resolution; null while it is open.",
        "reopenings": "How often it was reopened.",
        "is_first_contact": "Whether it was resolved at first contact and not reopened, by the flag of the helpdesk or by at "
        "most one reply. False while it is open.",
    }
    comment = "Support tickets: a row for each. Retracted events are left out."
    return View("tickets", comment, columns, _query())


def _query() -> str:
    resolved_on = day_of("own.resolved_at")
    return f"""
    SELECT account.id AS account_id, substr(beginning.stream, {len(KIND) + 2}) AS ticket_id, own.channel, own.priority,
        beginning.occurred_at AS opened_at, {day_of("beginning.occurred_at")} AS opened_on,
        date_trunc('month', {day_of("beginning.occurred_at")}::timestamp)::date AS month,
        own.first_reply_at, {_seconds("own.first_reply_at - own.waiting_since")} AS first_response_seconds,
        own.resolved_at IS NULL AS is_open, own.resolved_at, {resolved_on} AS resolved_on,
        {_seconds("own.resolved_at - beginning.occurred_at")} AS resolution_seconds, own.reopenings,
        own.resolved_at IS NOT NULL AND own.reopenings = 0 AND beginning.type <> {quote(REOPENED)}
            AND coalesce(own.first_contact, own.replies_before <= 1) AS is_first_contact
    FROM public.event AS beginning
    JOIN public.account ON account.account_id = beginning.account_id
    CROSS JOIN LATERAL ({_steps()}) AS own
    WHERE beginning.type IN ({quote_list(TYPES)}) AND beginning.retracted_on IS NULL AND beginning.stream IS NOT NULL
        AND beginning.id = {_beginning_id()}"""


def _seconds(duration: str) -> str:
    """Return the SQL of the whole seconds of a duration."""
    return f"floor(extract(epoch FROM {duration}))::bigint"


_OF_TICKET = f"""event.account_id = beginning.account_id AND event.stream = beginning.stream AND event.retracted_on IS NULL
            AND event.type IN ({quote_list(TYPES)})"""


def _beginning_id() -> str:
    """Return the SQL of the id of the first opening or, without one, of the first event."""
    return f"""
            (SELECT event.id FROM public.event WHERE {_OF_TICKET}
            ORDER BY event.type <> {quote(OPENED)}, {_order()} LIMIT 1)"""


def _steps() -> str:
    """Return the query of what a ticket comes to.

    `step` are all events in order, the beginning first and none before it; `change` are those that open or close the ticket.
    """
    return f"""
        WITH step AS (
            SELECT event.type, event.data, greatest(event.occurred_at, beginning.occurred_at) AS at,
                event.type = {quote(REPLIED)} AND event.data ->> 'by' IS DISTINCT FROM 'customer' AS is_reply,
                row_number() OVER (ORDER BY event.id <> beginning.id, {_order()}) AS position
            FROM public.event WHERE {_OF_TICKET}),
        change AS (
            SELECT position, at, type FROM (
                SELECT *, lag(type, 1, {quote(REOPENED)}) OVER (ORDER BY position) AS before FROM step
                WHERE type IN ({quote_list((REOPENED, RESOLVED))})) AS own
            WHERE type <> before),
        reply AS (SELECT position, at FROM step WHERE is_reply ORDER BY position LIMIT 1)
        SELECT
            (SELECT data ->> 'channel' FROM step WHERE data ? 'channel' ORDER BY position LIMIT 1) AS channel,
            (SELECT data ->> 'priority' FROM step WHERE data ? 'priority' ORDER BY position DESC LIMIT 1) AS priority,
            (SELECT at FROM reply) AS first_reply_at,
            coalesce((SELECT at FROM change WHERE type = {quote(REOPENED)} AND position <= (SELECT position FROM reply)
                ORDER BY position DESC LIMIT 1), beginning.occurred_at) AS waiting_since,
            (SELECT CASE type WHEN {quote(RESOLVED)} THEN at END FROM change ORDER BY position DESC LIMIT 1) AS resolved_at,
            (SELECT count(*)::int FROM change WHERE type = {quote(REOPENED)}) AS reopenings,
            (SELECT (data ->> 'first_contact')::boolean FROM step WHERE type = {quote(RESOLVED)} AND data ? 'first_contact'
                ORDER BY position DESC LIMIT 1) AS first_contact,
            (SELECT count(*) FROM step WHERE is_reply AND position < coalesce(
                (SELECT min(position) FROM step WHERE type = {quote(RESOLVED)}), 9223372036854775807)) AS replies_before"""
