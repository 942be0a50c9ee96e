"""Pipedrive, webhooks of version 2: organizations and deals.

Sources: pipedrive.readme.io, "Guide for Webhooks v2" and "Webhooks v2 migration guide". The time is a text or, in some of their
examples, a number; both are read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Basic
from app.ingest.payload import Fields, Ignored, text_of

_GOAL = "deal"


def _find_id(payload: Any, headers: Mapping[str, str]) -> str | None:
    meta = payload.get("meta") if isinstance(payload, dict) else None
    return text_of(meta.get("id")) if isinstance(meta, dict) else None


@vendor(
    title="Pipedrive",
    scheme=Basic(),
    documentation="https://pipedrive.readme.io/docs/guide-for-webhooks-v2",
    mapping=PersonMapping,
    find_id=_find_id,
    becomes=(
        ("`create` or `change` of an organization", "`account.updated` with the name"),
        ("`create` of a deal", "`goal.entered` for the goal `deal`"),
        ("`change` of a deal to the status `won`", "`goal.completed`"),
    ),
    example={
        "meta": {
            "action": "change",
            "entity": "deal",
            "entity_id": "61",
            "id": "a3f1c9e0-0000-4000-8000-000000000001",
            "company_id": "123",
            "timestamp": "2026-03-14T10:00:00.000Z",
            "version": "2.0",
        },
        "data": {"id": 61, "title": "Upgrade", "org_id": 7, "status": "won", "value": 1200, "currency": "USD"},
        "previous": {"status": "open"},
    },
)
def pipedrive(payload: Any, context: Context) -> Iterator[Part]:
    """The account is the id of the organization, unless the mapping has `account_id`. The share of deals that are won is
    `conversion_rate` with the subject `deal`. A deleted or merged organization changes nothing.
    """
    event = Fields(payload)
    meta, action = event.object("meta"), event.text("meta", "action")
    entity, at = meta.text("entity"), meta.time("timestamp")
    item = event.find_object("data") or Fields({})
    if entity == "organization" and action in ("create", "change"):
        account = context.account(event, item, item.text("id"))
        data: dict[str, Any] = {"name": item.text("name")}
        yield context.event("account.updated", id=meta.text("id"), account=account, at=at, data=data)
        return
    is_won = item.find("status") == "won" and event.find("previous", "status") not in (None, "won")
    if entity != "deal" or not (action == "create" or (action == "change" and is_won)):
        yield Ignored("Events of this kind count nothing.")
        return
    organization = item.find_text("org_id") or item.find_text("org_id", "value")
    yield context.event(
        "goal.entered" if action == "create" else "goal.completed",
        id=meta.text("id"),
        account=context.account(event, item, organization),
        at=at,
        data={"goal": _GOAL, "who": f"deal {item.text('id')}"},
    )
