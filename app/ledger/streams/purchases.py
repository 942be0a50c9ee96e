"""An account's purchases: its orders, what was paid for them and given back, and how long it has been coming back.

All orders of an account are one stream, since the first and the last purchase are the account's. An order stays one when
its money is given back.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

COMPLETED, REFUNDED = "purchase.completed", "purchase.refunded"

paid = measure("purchases", "Money that was paid for orders, in ten-thousandths.")
refunds = measure("refunds", "Money that was given back for orders, in ten-thousandths.")
orders = measure("orders", "Orders that were made.", stock=True)
purchase_days = measure("purchase_days", "Days on which accounts made an order.", stock=True)
purchase_seconds = measure("purchase_seconds", "Seconds from the first order of accounts to their last.", stock=True)
purchasers = measure("purchasers", "Accounts that made an order.", stock=True)
repeat_purchasers = measure("repeat_purchasers", "Accounts that made two orders or more.", stock=True)

_SECOND = timedelta(seconds=1)


def name(fact: EventView) -> str:
    """The name of the stream that an event of an order belongs to."""
    return "purchases"


@stream("purchases")
def purchases(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Each order once, by its first event, and what was given back for it."""
    bought: dict[str, StreamEvent] = {}
    for happening in happenings:
        if happening.type == COMPLETED:
            bought.setdefault(happening.data["order_id"], happening)
    yield from _orders(list(bought.values()), calendar)
    yield from _refunds((happening for happening in happenings if happening.type == REFUNDED), bought, calendar)


def _orders(bought: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    last_day, seconds = None, 0
    for number, order in enumerate(bought, start=1):
        day = calendar.day(order.at)
        yield day, Line(orders, 1)
        yield day, Line(paid, in_base_currency(order.data["amount"], order.rate))
        if number <= 2:
            yield day, Line(purchasers if number == 1 else repeat_purchasers, 1)
        if day != last_day:
            yield day, Line(purchase_days, 1)
        so_far = (order.at - bought[0].at) // _SECOND
        yield day, Line(purchase_seconds, so_far - seconds)
        last_day, seconds = day, so_far


def _refunds(
    given_back: Iterable[StreamEvent], bought: dict[str, StreamEvent], calendar: Calendar
) -> Iterator[DatedLine]:
    """Each on its day, but not before its order; of an order that is not known, none. In all not more than was paid.

    In the currency of the order it is worth what that was worth, so that an order given back in full leaves nothing.
    """
    left = {id: in_base_currency(order.data["amount"], order.rate) for id, order in bought.items()}
    for refund in given_back:
        id = refund.data["order_id"]
        if id in bought:
            order = bought[id]
            same = refund.data.get("currency") == order.data.get("currency")
            amount = min(in_base_currency(refund.data["amount"], order.rate if same else refund.rate), left[id])
            left[id] -= amount
            yield calendar.day(max(refund.at, order.at)), Line(refunds, amount)
