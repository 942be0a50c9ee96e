"""Tickets."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.measures import Line, measure

tickets_opened = measure("tickets_opened", "Support tickets that were opened.", channel=True)


class Ticket(Data):
    ticket_id: Id
    channel: NotRequired[Id]
    priority: NotRequired[Id]
    by: NotRequired[Literal["agent", "customer"]]
    first_contact: NotRequired[Annotated[bool, Field(description="What the helpdesk says of it.")]]


@event(
    "ticket.opened",
    example={"ticket_id": "ticket-1", "channel": "email", "priority": "high"},
    posts=lambda e: [Line(tickets_opened, 1, channel=e.data.get("channel", ""))],
)
class TicketOpened(Ticket):
    """A customer asked for help."""


@event("ticket.replied", rank=1, example={"ticket_id": "ticket-1", "by": "agent"})
class TicketReplied(Ticket):
    """Somebody wrote in a ticket."""


@event("ticket.reopened", rank=2, example={"ticket_id": "ticket-1", "by": "customer"})
class TicketReopened(Ticket):
    """A ticket that was resolved is open again."""


@event("ticket.resolved", rank=3, example={"ticket_id": "ticket-1", "first_contact": True})
class TicketResolved(Ticket):
    """A ticket was resolved."""
