"""Read sequences, the streams in which an event concerns only its neighbors: invitations to surveys and their responses.

One account may have millions of responses without a user, which are one sequence. So a sequence is never read as a whole when
it changes, but only around the changes: the nearest invitation and response on either side of each event.

That is enough. Whether an invitation was answered depends on whether there is a response before the next invitation. If a change
decides about that, the change is the invitation, the next one, or a response between the two, and the events that say so are
its neighbors, or those of a neighbor that changes too.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from app.database.connection import Connection
from app.database.statements import json_table
from app.ledger.stream_diff import StoredEvent, StreamChanges, StreamName, stored_event
from app.ledger.streams.invitations import KIND, RESPONDED, SENT

SEQUENCE_PREFIX = f"{KIND} "


async def load_neighbors(
    connection: Connection, changes_by_sequence: Mapping[StreamName, StreamChanges]
) -> dict[StreamName, dict[str, StoredEvent]]:
    """Load the changed events of some sequences and their live neighbors, by id.

    Responses to which no invitation was sent are left out: they decide about nothing.
    """
    names = list(changes_by_sequence)
    rows = [
        {"number": number, "account_id": name[0], "id": id}
        for number, name in enumerate(names)
        for change in changes_by_sequence[name].values()
        for id in change.added | change.removed
    ]
    events_by_sequence: dict[StreamName, dict[str, StoredEvent]] = {name: {} for name in names}
    for row in await connection.execute_rows(_NEIGHBORS, rows):
        events_by_sequence[names[row.number]][row.id] = stored_event(row)
    return events_by_sequence


async def load_invitations(
    connection: Connection, responses: Iterable[tuple[int, str]], *, as_of: date
) -> dict[tuple[int, str], StoredEvent]:
    """Load the invitations to which responses belonged by what was known at the end of a day, by the response.

    responses: accounts and ids.
    """
    keys = list(responses)
    rows = [{"number": number, "account_id": account_id, "id": id} for number, (account_id, id) in enumerate(keys)]
    invitations = await connection.execute_rows(_INVITATIONS, rows, as_of=as_of)
    return {keys[row.number]: stored_event(row) for row in invitations}


_COLUMNS = ("account_id", "id", "type", "occurred_at", "recorded_on", "retracted_on", "rate", "data")


def _select_from(table: str) -> str:
    return f"SELECT {', '.join(f'{table}.{column}' for column in _COLUMNS)}"


def _select_neighbor(type: str, *, before: bool, condition: str = "near.retracted_on IS NULL") -> str:
    """Return the SQL that selects the nearest event of a type before or after the row `changed`, by an index of its own.

    At one instant, invitations come before responses; then ids decide. The condition says so in terms of the index's columns: no
    id is empty, and no time is more precise than a microsecond.
    """
    operator, direction = ("<", "DESC") if before else (">", "ASC")
    later = "1 microsecond" if type == SENT else "0"
    return f"""
        {_select_from("near")} FROM event AS near
        WHERE near.account_id = changed.account_id AND near.type = '{type}' AND {condition}
            AND near.data ->> 'survey' = changed.data ->> 'survey'
            AND coalesce(near.user_id, '') = coalesce(changed.user_id, '')
            AND (near.occurred_at, near.id) {operator} (
                CASE WHEN changed.type = '{type}' THEN changed.occurred_at ELSE changed.occurred_at + interval '{later}' END,
                CASE WHEN changed.type = '{type}' THEN changed.id ELSE '' END)
        ORDER BY near.occurred_at {direction}, near.id {direction} LIMIT 1"""


_CHANGED = f"""
    {json_table("change(number integer, account_id bigint, id text)")}
    CROSS JOIN LATERAL (
        SELECT * FROM event WHERE event.account_id = change.account_id AND event.id = change.id OFFSET 0) AS changed
    """
_NEIGHBORS = f"""
    SELECT change.number, event.* FROM {_CHANGED}
    LEFT JOIN LATERAL ({_select_neighbor(SENT, before=True)}) AS invitation ON true
    CROSS JOIN LATERAL (
        {_select_from("changed")}
        UNION ALL {_select_from("invitation")} WHERE invitation.id IS NOT NULL
        UNION ALL ({_select_neighbor(SENT, before=False)})
        UNION ALL ({_select_neighbor(RESPONDED, before=True)})
        UNION ALL ({_select_neighbor(RESPONDED, before=False)})) AS event
    WHERE invitation.id IS NOT NULL OR changed.type = '{SENT}'
    """
_KNOWN_ON_DAY = "near.recorded_on <= %(as_of)s AND (near.retracted_on IS NULL OR near.retracted_on > %(as_of)s)"
_INVITATIONS = f"""
    SELECT change.number, invitation.* FROM {_CHANGED}
    CROSS JOIN LATERAL ({_select_neighbor(SENT, before=True, condition=_KNOWN_ON_DAY)}) AS invitation
    """
