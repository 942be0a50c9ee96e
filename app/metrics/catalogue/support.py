"""Metrics of support tickets: how many there are, and how soon they are resolved.

A resolution counts in the period in which the ticket was opened, unless a convention says otherwise.
"""

from app.metrics.catalogue.revenue import EARLIER_SUBSCRIPTION, NO_CUSTOMERS
from app.metrics.define import ExampleEvent, Result, closing, count, mean, metric, percentage, proportion

NO_TICKETS = "no_tickets"

TICKET_OPENING = ExampleEvent(1, "ticket.opened", {"ticket_id": "ticket-1", "channel": "email"})
TICKET_RESOLUTION = ExampleEvent(1, "ticket.resolved", {"ticket_id": "ticket-1"}, on="2026-03-11")
OTHER_TICKET_OPENING = ExampleEvent(1, "ticket.opened", {"ticket_id": "ticket-2"})
OTHER_TICKET_RESOLUTION = ExampleEvent(
    1, "ticket.resolved", {"ticket_id": "ticket-2", "first_contact": False}, on="2026-03-12"
)


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"tickets_opened": 2, "equals": 2},
    events=[TICKET_OPENING, OTHER_TICKET_OPENING],
)
def support_tickets(tickets_opened: int) -> Result:
    """Support tickets: number of tickets opened in the period.

    A ticket counts once, even when it is reopened. Can be broken down by channel.
    """
    return count(tickets_opened)


@metric(
    unit="ratio",
    better="down",
    example={"tickets_opened": 1, "customers": 2, "equals": 50},
    events=[TICKET_OPENING, EARLIER_SUBSCRIPTION._replace(account="one"), EARLIER_SUBSCRIPTION._replace(account="two")],
)
def tickets_per_100_customers(tickets_opened: int, customers: int = closing("customers")) -> Result:
    """Tickets per 100 customers: tickets opened in the period for every 100 customers at its end.

    Includes tickets of accounts that are not customers. Can exceed 100. No value when there are no customers.
    """
    return percentage(tickets_opened, of=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"tickets_opened_first_contact": 1, "tickets_opened": 2, "equals": 50},
    events=[TICKET_OPENING, TICKET_RESOLUTION, OTHER_TICKET_OPENING, OTHER_TICKET_RESOLUTION],
    convention="opened",
    counted_by="ZapScale, SparrowDesk and others, which divide by all tickets.",
)
def first_contact_resolution_rate(tickets_opened_first_contact: int, tickets_opened: int) -> Result:
    """First contact resolution rate (FCR): percentage of tickets opened in the period that were resolved at first
    contact and not reopened.

    The helpdesk's own flag (`first_contact`) decides whether a ticket was resolved at first contact. Without the flag,
    it was if agents replied at most once before the resolution. Tickets that are still open count as not resolved. Can
    be broken down by channel. No value when no ticket was opened.
    """
    return proportion(tickets_opened_first_contact, of=tickets_opened, if_empty=NO_TICKETS)


@first_contact_resolution_rate.also(
    "resolved",
    counted_by="Freshservice and others, which divide by resolved tickets, so that open tickets do not lower the rate.",
    example={"tickets_resolved_first_contact": 1, "tickets_resolved": 2, "equals": 50},
    events=[TICKET_OPENING, TICKET_RESOLUTION, OTHER_TICKET_OPENING, OTHER_TICKET_RESOLUTION],
)
def _(tickets_resolved_first_contact: int, tickets_resolved: int) -> Result:
    """Percentage of tickets resolved in the period that were resolved at first contact and not reopened.

    A ticket counts in the period of its last resolution, whenever it was opened. Tickets that are still open are left
    out. No value when no ticket was resolved.
    """
    return proportion(tickets_resolved_first_contact, of=tickets_resolved, if_empty="no_tickets_resolved")


@metric(
    unit="hours",
    better="down",
    example={"ticket_resolution_seconds": 259_200, "tickets_opened_resolved": 2, "equals": 36},
    events=[TICKET_OPENING, TICKET_RESOLUTION, OTHER_TICKET_OPENING, OTHER_TICKET_RESOLUTION],
)
def average_resolution_hours(ticket_resolution_seconds: int, tickets_opened_resolved: int) -> Result:
    """Average resolution time: average hours from opening to last resolution of the tickets opened in the period.

    Tickets that are still open are left out, so the average of a recent period can still rise. The time between a
    resolution and a reopening is included. Can be broken down by channel. No value when none of the tickets is
    resolved.
    """
    return mean(ticket_resolution_seconds, of=tickets_opened_resolved, if_empty="no_tickets_resolved", unit=3_600)


@metric(
    unit="count",
    better="down",
    adds_over=("groups",),
    example={"tickets_open": 1, "equals": 1},
    events=[TICKET_OPENING, TICKET_RESOLUTION, OTHER_TICKET_OPENING],
)
def ticket_backlog(tickets_open: int = closing("tickets_open")) -> Result:
    """Ticket backlog: number of tickets open at the end of the period. Can be broken down by channel."""
    return count(tickets_open)
