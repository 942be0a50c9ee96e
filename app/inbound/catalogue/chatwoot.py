"""Chatwoot: conversations, messages and CSAT.

Sources: chatwoot.com, "How to use webhooks" and "Supported webhook events" (payloads). The signature of time, dot and body
is that of recent versions, as several public receivers verify it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import FirstOf, Hmac, SecretInUrl, dotted_time_and_body
from app.ingest.payload import Fields, Ignored

_STATUSES = {"resolved": "ticket.resolved", "open": "ticket.reopened"}


@vendor(
    title="Chatwoot",
    scheme=FirstOf(
        (
            Hmac(
                "X-Chatwoot-Signature",
                prefix="sha256=",
                time_header="X-Chatwoot-Timestamp",
                content=dotted_time_and_body,
                contents="time, dot and body",
            ),
            SecretInUrl(),
        )
    ),
    documentation="https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks",
    mapping=PersonMapping,
    find_id=lambda payload, headers: None,
    becomes=(
        ("`conversation_created`", "`ticket.opened`"),
        ("`message_created`, incoming or outgoing and not private", "`ticket.replied`, by the customer or an agent"),
        ("`conversation_status_changed` to resolved or open", "`ticket.resolved`, `ticket.reopened`"),
        (
            "`message_updated` with an answer about satisfaction",
            "`survey.responded` to `csat`, from 1 to 5; a comment, which follows later, is `feedback.received`. Both have the "
            "time of the question: updates carry none",
        ),
    ),
    example={
        "event": "message_created",
        "id": 71,
        "content": "Thanks!",
        "message_type": "incoming",
        "private": False,
        "created_at": "2026-03-14T10:00:00.000Z",
        "sender": {"id": 9, "type": "contact", "custom_attributes": {"account_id": "acme"}},
        "conversation": {
            "id": 12,
            "channel": "Channel::WebWidget",
            "meta": {"sender": {"id": 9, "identifier": "ada", "custom_attributes": {"account_id": "acme"}}},
        },
    },
)
def chatwoot(payload: Any, context: Context) -> Iterator[Part]:
    """The account is the custom attribute `account_id` of the contact, the user its identifier, else its id.

    Versions of Chatwoot that do not sign need the secret in the URL: `…/v1/inbound/NAME?secret=SECRET`.
    """
    event = Fields(payload)
    name = event.text("event")
    is_message = name.startswith("message_")
    conversation = event.object("conversation") if is_message else event
    answer = event.find_object("content_attributes", "submitted_values", "csat_survey_response")
    sender = conversation.find_object("meta", "sender") or event.find_object("sender") or Fields({})
    default = sender.find_text("custom_attributes", "account_id")
    if name == "message_updated" and answer is not None:
        account = context.account(event, conversation, default)
        user = context.user(event, conversation, sender.find_text("identifier") or sender.find_text("id"))
        yield from _translate_answer(event, answer, context, account=account, user=user)
        return
    type, data = _translate(name, event)
    if type is None:
        yield Ignored("Events of this kind count nothing.")
        return
    at = _time_of(event, conversation, is_new=name in ("conversation_created", "message_created"))
    # There is no id of the event: one thing happens to an object at one time.
    yield context.event(
        type,
        id=f"{name}:{event.text('id')}:{at.timestamp():f}",
        account=context.account(event, conversation, default),
        at=at,
        data={**data, "ticket_id": conversation.text("id"), "channel": conversation.find_text("channel")},
    )


def _translate_answer(
    event: Fields, answer: Fields, context: Context, *, account: str, user: str | None
) -> Iterator[Part]:
    """Yield an answer and its comment. The message with the question is updated for each of them, and for other reasons."""
    at, id = event.time("created_at"), f"csat:{event.text('id')}"
    data: dict[str, Any] = {"survey": "csat", "score": answer.whole_number("rating")}
    yield context.event("survey.responded", id=id, account=account, user=user, at=at, data=data)
    comment = answer.find("feedback_message")
    if isinstance(comment, str) and comment.strip():
        data = {"comment": comment}
        yield context.event("feedback.received", id=f"{id}:comment", account=account, user=user, at=at, data=data)


def _translate(name: str, event: Fields) -> tuple[str | None, dict[str, Any]]:
    if name == "conversation_created":
        return "ticket.opened", {}
    if name == "conversation_status_changed":
        return _STATUSES.get(event.text("status")), {}
    if name == "message_created" and event.find("private") is not True:
        by = {"incoming": "customer", "outgoing": "agent"}.get(str(event.find("message_type")))
        return ("ticket.replied", {"by": by}) if by else (None, {})
    return None, {}


def _time_of(event: Fields, conversation: Fields, *, is_new: bool) -> datetime:
    """Return when something happened: of a change, the time of the change."""
    names = ("created_at", "timestamp") if is_new else ("updated_at", "last_activity_at", "timestamp", "created_at")
    times = [event.find_time(name) or conversation.find_time(name) for name in names]
    return next((time for time in times if time is not None), None) or event.time(names[0])
