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

    Counts one ticket in `support_tickets`, and in `ticket_backlog` until it is resolved. The first opening begins the ticket,
    whatever its time: other events that are dated earlier count at the time of the opening. Opening the ticket again changes
    nothing; `ticket.reopened` reopens it. Without an opening, the ticket is opened by its first event. Events may arrive in any
    order; at the same instant the order is opened, replied, reopened, resolved.
    """


@event("ticket.replied", rank=1, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "agent"})
class TicketReplied(Ticket):
    """Someone replied in a support ticket.

    The first reply of an agent ends the first response time (`average_first_response_hours`). Replies of agents before the first
    resolution decide `first_contact_resolution_rate` where the helpdesk does not say `first_contact`: at most one is first
    contact. A reply neither resolves nor reopens a ticket.
    """


@event("ticket.reopened", rank=2, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "customer"})
class TicketReopened(Ticket):
    """A resolved support ticket was reopened.

    The ticket is open again (`ticket_backlog`), no longer counts in `tickets_resolved` until it is resolved again, and never as
    resolved at first contact. While no agent has replied, the first response time starts anew. Reopening an open ticket changes
    nothing.
    """


@event("ticket.resolved", rank=3, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "first_contact": True})
class TicketResolved(Ticket):
    """A support ticket was resolved.

    Counts one ticket in `tickets_resolved` on its day, unless the ticket is reopened. The outcome counts on the day on which the
    ticket was opened: whether it was resolved at first contact (`first_contact_resolution_rate`), and the hours from opening to
    the last resolution (`average_resolution_hours`). Resolving a resolved ticket changes nothing but `first_contact`.
    """
