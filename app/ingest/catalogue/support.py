"""Tickets."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.streams import tickets


class Ticket(Data):
    ticket_id: Id
    channel: NotRequired[Id]
    priority: NotRequired[Id]
    by: NotRequired[
        Annotated[
            Literal["agent", "customer"], Field(description="Whose it is; a reply of nobody named is an agent's.")
        ]
    ]
    first_contact: NotRequired[
        Annotated[bool, Field(description="Whether a resolution came at the first contact, as the helpdesk says.")]
    ]


@event(
    "ticket.opened",
    stream=tickets.stream_name,
    example={"ticket_id": "ticket-1", "channel": "email", "priority": "high"},
)
class TicketOpened(Ticket):
    """A customer asked for help. Opening an open ticket does nothing; whatever comes first of a ticket opens it."""


@event("ticket.replied", rank=1, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "agent"})
class TicketReplied(Ticket):
    """Somebody wrote in a ticket."""


@event("ticket.reopened", rank=2, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "by": "customer"})
class TicketReopened(Ticket):
    """A ticket that was resolved is open again; so it was not resolved at the first contact."""


@event("ticket.resolved", rank=3, stream=tickets.stream_name, example={"ticket_id": "ticket-1", "first_contact": True})
class TicketResolved(Ticket):
    """A ticket was resolved; resolving a resolved one changes no more than `first_contact`."""
