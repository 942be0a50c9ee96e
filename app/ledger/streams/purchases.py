"""The stream of all orders of one account: its orders, their payments and refunds, and how long it has been a purchaser.

All orders of an account are one stream because the first and the last purchase are the account's. A refunded order still
counts as an order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

COMPLETED, REFUNDED = "purchase.completed", "purchase.refunded"
_SECOND = timedelta(seconds=1)

payments = measure("purchases", "Money paid for orders.")
refunds = measure("refunds", "Money refunded for orders.")
orders = measure("orders", "Orders that were placed.", stock=True)
purchase_days = measure("purchase_days", "Days on which an account placed an order.", stock=True)
purchase_seconds = measure("purchase_seconds", "Seconds from an account's first order to its last.", stock=True)
purchasers = measure("purchasers", "Accounts that have placed an order.", stock=True)
repeat_purchasers = measure("repeat_purchasers", "Accounts that have placed two orders or more.", stock=True)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of an order's event: the account has one."""
    return "purchases"


@stream(
    "purchases",
    posts=[payments, refunds, orders, purchase_days, purchase_seconds, purchasers, repeat_purchasers],
)
def purchases(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield each order once, by its first event, and its refunds."""
    order_by_id: dict[str, StreamEvent] = {}
    for event in events:
        if event.type == COMPLETED:
            order_by_id.setdefault(event.data["order_id"], event)
    yield from _orders(list(order_by_id.values()), calendar)
    yield from _refunds((event for event in events if event.type == REFUNDED), order_by_id, calendar)


def _orders(ordered: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    last_day, seconds = None, 0
    for number, order in enumerate(ordered, start=1):
        day = calendar.day(order.at)
        yield day, Line(orders, 1)
        yield day, Line(payments, in_base_currency(order.data["amount"], order.rate))
        if number <= 2:
            yield day, Line(purchasers if number == 1 else repeat_purchasers, 1)
        if day != last_day:
            yield day, Line(purchase_days, 1)
        seconds_so_far = (order.at - ordered[0].at) // _SECOND
        yield day, Line(purchase_seconds, seconds_so_far - seconds)
        last_day, seconds = day, seconds_so_far


def _refunds(
    refund_events: Iterable[StreamEvent], order_by_id: Mapping[str, StreamEvent], calendar: Calendar
) -> Iterator[DatedLine]:
    """Yield each refund on its day, or on the day of its order if that is later.

    A refund of an unknown order counts nothing. The refunds of an order are never more than its payment. A refund in the
    currency of the order is converted at the order's rate, so that a full refund leaves nothing.
    """
    unrefunded = {id: in_base_currency(order.data["amount"], order.rate) for id, order in order_by_id.items()}
    for refund in refund_events:
        id = refund.data["order_id"]
        if id in order_by_id:
            order = order_by_id[id]
            is_same_currency = refund.data.get("currency") == order.data.get("currency")
            rate = order.rate if is_same_currency else refund.rate
            amount = min(in_base_currency(refund.data["amount"], rate), unrefunded[id])
            unrefunded[id] -= amount
            yield calendar.day(max(refund.at, order.at)), Line(refunds, amount)
