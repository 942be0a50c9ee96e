"""Segment: groups, people and what they do, by its webhook destination."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from app.inbound.define import Context, Part, find_member, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac
from app.ingest.payload import Fields, Ignored

_MAX_ATTRIBUTES = 100


@vendor(
    title="Segment",
    scheme=Hmac("X-Signature", algorithm="sha1"),
    documentation="https://segment.com/docs/connections/destinations/catalog/actions-webhook/",
    mapping=PersonMapping,
    find_id=find_member("messageId"),
    becomes=(
        ("`group`", "`account.updated` with `name` and the other traits that are texts, numbers or truth values"),
        ("`identify`", "`user.registered`"),
        ("`track`", "`feature.used`; the feature is the name of the event"),
    ),
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
    """The account is `groupId`, of other calls than `group` that of the `context`. The user is `userId`: what anonymous visitors
    do counts nothing.
    """
    call = Fields(payload)
    kind, id, at = call.text("type"), call.text("messageId"), call.time("timestamp")
    group = call.find_text("groupId") or call.find_text("context", "groupId")
    if kind == "group":
        account = context.account(call, call, group)
        yield context.event("account.updated", id=id, account=account, at=at, data=_read_traits(call))
        return
    user = context.user(call, call, call.find_text("userId"))
    if kind not in ("identify", "track") or user is None:
        yield Ignored("Pages, aliases and anonymous visitors count nothing.")
        return
    account = context.account(call, call, group)
    if kind == "identify":
        yield context.event("user.registered", id=id, account=account, user=user, at=at)
    else:
        data = {"feature": call.text("event")}
        yield context.event("feature.used", id=id, account=account, user=user, at=at, data=data)


def _read_traits(call: Fields) -> dict[str, Any]:
    traits = call.find("traits")
    scalars = {
        name: value
        for name, value in (traits.items() if isinstance(traits, dict) else ())
        if isinstance(value, str | int | Decimal | bool) and name and name != "name"
    }
    attributes = dict(list(scalars.items())[:_MAX_ATTRIBUTES])
    return {"name": call.find_text("traits", "name"), "attributes": attributes or None}
