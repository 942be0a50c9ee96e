"""Segment: groups, people and what they do, by its webhook destination."""

from collections.abc import Iterator
from typing import Any

from app.inbound.define import Context, Part, find_member, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac
from app.ingest.payload import Fields, Ignored
from app.ingest.segment.calls import BECOMES, CALLS, find_user, read_call


@vendor(
    title="Segment",
    scheme=Hmac("X-Signature", algorithm="sha1"),
    documentation="https://segment.com/docs/connections/destinations/catalog/actions-webhook/",
    mapping=PersonMapping,
    find_id=find_member("messageId"),
    becomes=BECOMES,
    example={
        "messageId": "segment-test-message-1",
        "type": "track",
        "event": "Report Exported",
        "userId": "ada",
        "timestamp": "2026-03-14T10:00:00.000Z",
        "context": {"groupId": "acme"},
        "properties": {"format": "csv"},
    },
)
def segment(payload: Any, context: Context) -> Iterator[Part]:
    """The account is `groupId`, else that of the `context`, else `traits.company.id`. The user is `userId`: what anonymous
    visitors do counts nothing.

    Segment's libraries can also send straight to `POST /v1/segment/batch`, which understands the same.
    """
    call = Fields(payload)
    kind, id, at = call.text("type"), call.text("messageId"), call.time("timestamp")
    if kind not in CALLS:
        yield Ignored("Only the calls of Segment's specification count.")
        return
    meaning = read_call(call, user=context.user(call, call, find_user(call)))
    if isinstance(meaning, Ignored):
        yield meaning
        return
    account = context.account(call, call, meaning.account)
    yield context.event(meaning.type, id=id, account=account, user=meaning.user, at=at, data=meaning.data)
