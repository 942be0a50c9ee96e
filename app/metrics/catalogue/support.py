"""Help that customers ask for, and how soon they get it.

What became of a ticket is told of the period in which it was opened; the backlog is of the period's end.
"""

from app.metrics.catalogue.revenue import BEFORE, NO_CUSTOMERS
from app.metrics.define import Happens, Result, closing, count, mean, metric, percentage, proportion

NO_TICKETS = "no_tickets"

OPENED = Happens(1, "ticket.opened", {"ticket_id": "ticket-1", "channel": "email"})
RESOLVED = Happens(1, "ticket.resolved", {"ticket_id": "ticket-1"}, on="2026-03-11")
OTHER = Happens(1, "ticket.opened", {"ticket_id": "ticket-2"})
OTHER_RESOLVED = Happens(1, "ticket.resolved", {"ticket_id": "ticket-2", "first_contact": False}, on="2026-03-12")


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"tickets_opened": 2, "equals": 2},
    events=[OPENED, OTHER],
)
def support_tickets(tickets_opened: int) -> Result:
    """Support tickets: tickets that were opened."""
    return count(tickets_opened)


@metric(
    unit="ratio",
    better="down",
    example={"tickets_opened": 1, "customers": 2, "equals": 50},
    events=[OPENED, BEFORE._replace(account="one"), BEFORE._replace(account="two")],
)
def tickets_per_100_customers(tickets_opened: int, customers: int = closing("customers")) -> Result:
    """Tickets per 100 customers: tickets that were opened, per hundred customers at the period's end; may exceed 100."""
    return percentage(tickets_opened, to=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"tickets_opened_first_contact": 1, "tickets_opened": 2, "equals": 50},
    events=[OPENED, RESOLVED, OTHER, OTHER_RESOLVED],
    convention="opened",
    counted_by="ZapScale and others: of all tickets, how many needed one contact?",
)
def first_contact_resolution_rate(tickets_opened_first_contact: int, tickets_opened: int) -> Result:
    """First contact resolution rate: tickets opened in the period that were resolved at the first contact and not reopened,
    per hundred opened. The helpdesk says so (`first_contact`), else at most one reply of an agent came before."""
    return proportion(tickets_opened_first_contact, of=tickets_opened, none=NO_TICKETS)


@first_contact_resolution_rate.also(
    "resolved",
    counted_by="Freshservice and others, which divide by the tickets that are resolved.",
    example={"tickets_resolved_first_contact": 1, "tickets_resolved": 2, "equals": 50},
    events=[OPENED, RESOLVED, OTHER, OTHER_RESOLVED],
)
def _(tickets_resolved_first_contact: int, tickets_resolved: int) -> Result:
    """Tickets resolved at the first contact and not reopened, per hundred resolved in the period, whenever opened."""
    return proportion(tickets_resolved_first_contact, of=tickets_resolved, none="no_tickets_resolved")


@metric(
    unit="hours",
    better="down",
    example={"ticket_resolution_seconds": 259_200, "tickets_opened_resolved": 2, "equals": 36},
    events=[OPENED, RESOLVED, OTHER, OTHER_RESOLVED],
)
def average_resolution_hours(ticket_resolution_seconds: int, tickets_opened_resolved: int) -> Result:
    """Average resolution time: hours from opening to the last resolution, of tickets opened in the period and resolved now."""
    return mean(ticket_resolution_seconds, of=tickets_opened_resolved, none="no_tickets_resolved", unit=3_600)


@metric(
    unit="count",
    better="down",
    adds_over=("groups",),
    example={"tickets_open": 1, "equals": 1},
    events=[OPENED, RESOLVED, OTHER],
)
def ticket_backlog(tickets_open: int = closing("tickets_open")) -> Result:
    """Ticket backlog: tickets that are open at the period's end."""
    return count(tickets_open)
