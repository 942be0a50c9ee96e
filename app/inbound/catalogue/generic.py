"""Any sender of JSON: a mapping of the source says what becomes what."""

from collections.abc import Iterator
from typing import Any

from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import EventMapping, map_events
from app.inbound.senders import SenderOptions, scheme_of_sender


@vendor(
    title="Any sender of JSON",
    scheme=scheme_of_sender,
    documentation="https://jmespath.org",
    options=SenderOptions,
    mapping=EventMapping,
    mapping_required=True,
    becomes=(("an item for which the `when` of a rule is true", "the event of the rule"),),
    headers=("webhook-id",),
    find_id=lambda payload, headers: headers.get("webhook-id"),
    example={
        "batch": "b-1",
        "calls": [
            {"id": "call-1", "company": "acme", "person": "ada", "ended": 1773480600, "seconds": 840, "nps": 9},
            {"id": "call-2", "company": "globex", "person": "bob", "ended": 1773482400, "seconds": 300, "nps": None},
        ],
    },
    example_mapping={
        "items": "payload.calls",
        "events": [
            {
                "type": "session.ended",
                "id": "item.id",
                "account_id": "item.company",
                "user_id": "item.person",
                "occurred_at": "item.ended",
                "data": {"duration_seconds": "item.seconds"},
            },
            {
                "when": "item.nps",
                "type": "survey.responded",
                "id": "join(' ', [item.id, 'nps'])",
                "account_id": "item.company",
                "user_id": "item.person",
                "occurred_at": "item.ended",
                "data": {"survey": "'nps'", "score": "item.nps", "channel": "'call'"},
            },
        ],
    },
)
def generic(payload: Any, context: Context) -> Iterator[Part]:
    """Each item that `items` finds becomes an event for every rule of `events` whose `when` is true.

    All fields but `type` are [JMESPath](https://jmespath.org) expressions over `payload`, `item` and `headers`. A text stands in
    single quotes: `'nps'`. Besides the functions of the standard there are `time(x)` (a time from seconds or milliseconds since
    1970), `decimal(x, digits)` (an amount from the smallest unit of its currency: ``decimal(amount, `2`)``) and `slug(x)` (a name
    in small letters with hyphens). What an expression does not find is null, and a field of `data` that is null is left out.

    The `id` must be the same whenever the sender sends the same again: then a repetition is a duplicate.
    """
    yield from map_events(payload, context)
