"""Intercom: conversations, tickets and ratings.

Source: developers.intercom.com, "Webhook topics and notification object" (topics of conversations and tickets, also those of
ratings; where `ticket.closed` has its ticket; signed notifications), "Conversation" (rating) and "Ticket state" (categories),
version 2.16. Where a rated ticket has its rating is not documented; it is read where a conversation has it.
"""

from collections.abc import Iterator
from typing import Any

from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac
from app.ingest.payload import Fields, Ignored

_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "conversation.user.created": ("ticket.opened", {}),
    "conversation.user.replied": ("ticket.replied", {"by": "customer"}),
    "conversation.admin.replied": ("ticket.replied", {"by": "agent"}),
    "conversation.admin.closed": ("ticket.resolved", {}),
    "conversation.admin.opened": ("ticket.reopened", {}),
    "ticket.created": ("ticket.opened", {}),
    "ticket.contact.replied": ("ticket.replied", {"by": "customer"}),
    "ticket.admin.replied": ("ticket.replied", {"by": "agent"}),
    "ticket.resolved": ("ticket.resolved", {}),
    "ticket.closed": ("ticket.resolved", {}),
}
_STATE_CHANGED = "ticket.state.updated"
_RATED = ("conversation.rating.added", "ticket.rating.provided")


@vendor(
    title="Intercom",
    scheme=Hmac("X-Hub-Signature", algorithm="sha1", prefix="sha1="),
    documentation="https://developers.intercom.com/docs/references/webhooks/webhook-models",
    mapping=PersonMapping,
    becomes=(
        ("`conversation.user.created`, `ticket.created`", "`ticket.opened`"),
        ("`….replied` of a user, a contact or an admin", "`ticket.replied`, by the customer or an agent"),
        ("`conversation.admin.closed`, `ticket.resolved`", "`ticket.resolved`"),
        ("`ticket.closed`", "`ticket.resolved`, which counts only if the ticket was not resolved before"),
        (
            "`ticket.state.updated` to a state of the category `resolved`; to another one",
            "`ticket.resolved`; `ticket.reopened`, which counts only if the ticket was resolved before",
        ),
        ("`conversation.admin.opened`", "`ticket.reopened`"),
        (
            "`conversation.rating.added`; `ticket.rating.provided`, if the ticket has a `conversation_rating`",
            "`survey.responded` to `csat`, from 1 to 5",
        ),
    ),
    example={
        "type": "notification_event",
        "id": "notif_1",
        "topic": "conversation.rating.added",
        "app_id": "workspace",
        "created_at": 1773480600,
        "delivery_attempts": 1,
        "data": {
            "item": {
                "type": "conversation",
                "id": "215468",
                "company": {"company_id": "acme"},
                "contacts": {"contacts": [{"id": "5ba6", "external_id": "ada"}]},
                "conversation_rating": {"rating": 5, "remark": "Fast help.", "created_at": 1773480590},
            }
        },
    },
    example_mapping={"account_id": "item.custom_attributes.account_id"},
)
def intercom(payload: Any, context: Context) -> Iterator[Part]:
    """The account is the `company_id` of the company, the user the external id of the first contact, else its id. Most payloads
    have no company: keep your account's id in an attribute of conversations, and name it in the mapping.
    """
    event = Fields(payload)
    topic = event.text("topic")
    if topic not in (*_TYPES, *_RATED, _STATE_CHANGED):
        yield Ignored("Events of this topic count nothing.")
        return
    # Of a closed ticket, the item is the conversation, which has the ticket; older versions send the ticket itself.
    item = event.find_object("data", "item", "ticket") or event.object("data", "item")
    account = context.account(event, item, item.find_text("company", "company_id"))
    at = event.time("created_at")
    if topic in _RATED:
        rating = item.object("conversation_rating")
        contact = next(item.object("contacts").objects("contacts"), None) if "contacts" in item else None
        default = (contact.find_text("external_id") or contact.find_text("id")) if contact is not None else None
        remark = rating.find("remark")
        answer: dict[str, Any] = {"survey": "csat", "score": rating.whole_number("rating"), "channel": "intercom"}
        yield context.event(
            "survey.responded",
            id=event.text("id"),
            account=account,
            user=context.user(event, item, default),
            at=rating.find_time("created_at") or at,
            data=answer | {"comment": remark if isinstance(remark, str) else None},
        )
        return
    type, data = _TYPES[topic] if topic in _TYPES else (_read_state(item), {})
    own_data = {"ticket_id": item.text("id"), "channel": "intercom", **data}
    yield context.event(type, id=event.text("id"), account=account, at=at, data=own_data)


def _read_state(ticket: Fields) -> str:
    """Return what a change of the state of a ticket means. Older versions have the category itself as the state."""
    category = ticket.find_text("ticket_state", "category") or ticket.text("ticket_state")
    return "ticket.resolved" if category == "resolved" else "ticket.reopened"
