"""Help that customers ask for."""

from app.metrics.define import Result, count, metric


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"tickets_opened": 2, "equals": 2},
    events=[
        (1, "ticket.opened", {"ticket_id": "ticket-1", "channel": "email"}),
        (1, "ticket.opened", {"ticket_id": "ticket-2"}),
    ],
)
def support_tickets(tickets_opened: int) -> Result:
    """Support tickets: tickets that were opened."""
    return count(tickets_opened)
