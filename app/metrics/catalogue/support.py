"""Help that customers ask for."""

from app.metrics.define import Happens, Result, count, metric


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"tickets_opened": 2, "equals": 2},
    events=[
        Happens(1, "ticket.opened", {"ticket_id": "ticket-1", "channel": "email"}),
        Happens(1, "ticket.opened", {"ticket_id": "ticket-2"}),
    ],
)
def support_tickets(tickets_opened: int) -> Result:
    """Support tickets: tickets that were opened."""
    return count(tickets_opened)
