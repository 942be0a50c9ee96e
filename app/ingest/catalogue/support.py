"""Event types about support tickets."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.streams import tickets


class Ticket(Data):
    ticket_id: Annotated[Id, Field(description="Your id of the ticket, unique within the account.")]
    channel: NotRequired[
        Annotated[
            Id,
            Field(
                description="Where the ticket came from, such as `email`. Numbers can be broken down by channel. "
                "The first channel of a ticket counts for all of it."
            ),
        ]
    ]
    priority: NotRequired[
        Annotated[
            Id,
            Field(description="Priority, such as `high`. Shown with open tickets, not counted. The last one counts."),
        ]
    ]
    by: NotRequired[
        Annotated[
            Literal["agent", "customer"],
            Field(
                description="Who did it: `agent` or `customer`. Used in `ticket.replied` only, where the default is `agent`."
            ),
        ]
    ]
    first_contact: NotRequired[
        Annotated[
            bool,
            Field(
                description="Whether the helpdesk says that it was resolved at first contact. Used in `ticket.resolved` only; "
                "the last one counts. Default: true if there was at most one agent reply before the resolution."
            ),
        ]
    ]


@event(
    "ticket.opened",
    stream=tickets.stream_name,
    example={"ticket_id": "ticket-1", "channel": "email", "priority": "high"},
)
class TicketOpened(Ticket):
    """A support ticket was opened.

    Counts one ticket in `support_tickets`, and in `ticket_backlog` until it is resolved. Opening an open ticket changes nothing;
    opening a resolved ticket reopens it. If other events of the ticket occurred earlier, the first of them opened it. Events may
    arrive in any order. Events at the same instant count in the order opened, replied, reopened, resolved.
    """


@event("ticket.replied", rank=1, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "agent"})
class TicketReplied(Ticket):
    """Someone replied in a support ticket.

    Without `first_contact` from the helpdesk, a ticket counts as resolved at first contact (`first_contact_resolution_rate`) if
    agents replied at most once before its first resolution. A reply neither resolves nor reopens a ticket.
    """


@event("ticket.reopened", rank=2, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "customer"})
class TicketReopened(Ticket):
    """A resolved support ticket was reopened.

    The ticket is open again (`ticket_backlog`) and no longer counts as resolved at first contact. Reopening an open ticket
    changes nothing.
    """


@event("ticket.resolved", rank=3, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "first_contact": True})
class TicketResolved(Ticket):
    """A support ticket was resolved.

    The outcome counts on the day on which the ticket was opened: whether it was resolved at first contact
    (`first_contact_resolution_rate`), and the hours from opening to the last resolution (`average_resolution_hours`). Resolving
    a resolved ticket changes nothing but `first_contact`.
    """
