"""Zendesk: tickets, replies and satisfaction.

Sources: developer.zendesk.com, "Ticket events" and "Organization events" (payloads) and "Verifying webhooks" (signature). Also of
a survey with its own scale, the event has `GOOD` or `BAD`, which Zendesk derives from the rating.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.ids import Id
from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac, time_and_body
from app.ingest.payload import Fields, Ignored, Untranslatable

_PREFIX = "zen:event-type:"
# A ticket in one of these is done; a closed one was solved before, and can no longer be reopened.
_DONE = ("SOLVED", "CLOSED")


class ZendeskOptions(BaseModel):
    """How the answers about satisfaction are read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    survey: Id = Field("csat", description="The survey of the answers about satisfaction.")
    good_score: int = Field(5, ge=0, le=100, description="The score of `good` on the scale of this survey.")
    bad_score: int = Field(1, ge=0, le=100, description="The score of `bad`.")


@vendor(
    title="Zendesk",
    scheme=Hmac(
        "X-Zendesk-Webhook-Signature",
        encoding="base64",
        time_header="X-Zendesk-Webhook-Signature-Timestamp",
        time_form="iso",
        content=time_and_body,
        contents="time and body",
    ),
    documentation="https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/",
    options=ZendeskOptions,
    mapping=PersonMapping,
    becomes=(
        ("`ticket.created`", "`ticket.opened`, with channel and priority"),
        ("`ticket.comment_added`, if it is public", "`ticket.replied`, by an agent or the customer"),
        ("`ticket.status_changed` to solved or closed", "`ticket.resolved`; closing a solved ticket changes nothing"),
        ("`ticket.status_changed` from solved to another", "`ticket.reopened`"),
        ("`ticket.csat_received`", "`survey.responded`, with the scores of the options or the rating itself"),
        ("`organization.created`, `organization.name_changed`", "`account.updated` with the name"),
    ),
    example={
        "id": "01HZEXAMPLE",
        "type": "zen:event-type:ticket.status_changed",
        "account_id": 12514403,
        "time": "2026-03-14T10:00:00Z",
        "zendesk_event_version": "2022-11-06",
        "subject": "zen:ticket:35436",
        "detail": {
            "id": "35436",
            "organization_id": "5099",
            "requester_id": "20978392",
            "created_at": "2026-03-14T08:00:00Z",
            "priority": "HIGH",
            "status": "SOLVED",
            "via": {"channel": "email"},
        },
        "event": {"current": "SOLVED", "previous": "OPEN"},
    },
)
def zendesk(payload: Any, context: Context) -> Iterator[Part]:
    """The account is the organization of the ticket, the user its requester. A ticket without an organization needs a mapping.

    Connect the webhook to events of tickets and organizations, not to a trigger, whose payload is your own (use `generic`).
    """
    event = Fields(payload)
    name, detail = event.text("type").removeprefix(_PREFIX), event.object("detail")
    if name in ("organization.created", "organization.name_changed"):
        account = context.account(event, detail, detail.text("id"))
        data = {"name": event.find_text("event", "current") or detail.text("name")}
        yield context.event("account.updated", id=event.text("id"), account=account, at=event.time("time"), data=data)
        return
    found_type, data = _translate(name, event, detail, context.options)
    if found_type is None:
        yield Ignored("Events of this type, and this change, count nothing.")
        return
    organization, requester = (_id(detail, own) for own in ("organization_id", "requester_id"))
    yield context.event(
        found_type,
        id=event.text("id"),
        account=context.account(event, detail, organization),
        user=context.user(event, detail, requester) if found_type == "survey.responded" else None,
        at=event.time("time"),
        data=data,
    )


def _id(detail: Fields, name: str) -> str | None:
    """Return an id. Zendesk writes 0 for none."""
    id = detail.find_text(name)
    return None if id == "0" else id


def _translate(name: str, event: Fields, detail: Fields, options: ZendeskOptions) -> tuple[str | None, dict[str, Any]]:
    """Return the type of our event and its data; None for what counts nothing."""
    ticket = {"ticket_id": detail.text("id"), "channel": detail.find_text("via", "channel")}
    if name == "ticket.created":
        return "ticket.opened", ticket | {"priority": (detail.find_text("priority") or "").lower() or None}
    if name == "ticket.comment_added" and event.find("event", "comment", "is_public") is True:
        is_staff = event.find("event", "comment", "author", "is_staff") is True
        return "ticket.replied", ticket | {"by": "agent" if is_staff else "customer"}
    if name == "ticket.status_changed":
        current, previous = event.text("event", "current").upper(), (event.find_text("event", "previous") or "").upper()
        if current in _DONE:
            return "ticket.resolved", ticket
        return ("ticket.reopened", ticket) if previous in _DONE else (None, {})
    if name == "ticket.csat_received":
        return "survey.responded", _read_answer(event.object("event"), options)
    return None, {}


def _read_answer(answer: Fields, options: ZendeskOptions) -> dict[str, Any]:
    rating = answer.find_object("satisfaction_score") or answer.find_object("satisfaction_rating") or answer
    comment = rating.find("comment")
    score = (rating.find_text("score") or "").upper()
    scores = {"GOOD": options.good_score, "BAD": options.bad_score}
    if "rating" not in rating and score not in scores:
        raise Untranslatable("The answer has neither a rating nor the score good or bad.")
    text = comment if isinstance(comment, str) else None
    return {
        "survey": options.survey,
        "score": rating.whole_number("rating") if "rating" in rating else scores[score],
        "comment": text,
    }
