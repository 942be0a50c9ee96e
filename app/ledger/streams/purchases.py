"""The stream of all orders of one account: its orders, their payments and refunds, and how long it has been a purchaser.

All orders of an account are one stream because the first and the last purchase are the account's. A refunded order still
counts as an order; measures of their own count only what was kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, Measure, measure
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
# An order is kept unless all of it was refunded. What was kept counts on the day of the order, whenever the rest was refunded.
orders_kept = measure("orders_kept", "Orders that were placed and not refunded in full.", stock=True)
payments_kept = measure("purchases_kept", "Money paid for orders and not refunded, counted on the day of the order.")
kept_purchase_seconds = measure(
    "kept_purchase_seconds",
    "Seconds from an account's first order that was not refunded in full to its last.",
    stock=True,
)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of an order's event: the account has one."""
    return "purchases"


@stream(
    "purchases",
    posts=[
        payments,
        refunds,
        orders,
        purchase_days,
        purchase_seconds,
        purchasers,
        repeat_purchasers,
        orders_kept,
        payments_kept,
        kept_purchase_seconds,
    ],
)
def purchases(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield each order once, by its first event, its refunds, and what was kept of it."""
    order_by_id: dict[str, StreamEvent] = {}
    for event in events:
        if event.type == COMPLETED:
            order_by_id.setdefault(event.data["order_id"], event)
    amounts_by_id: dict[str, list[int]] = defaultdict(list)
    for refund, order, amount in _refunds(events, order_by_id):
        amounts_by_id[order.data["order_id"]].append(amount)
        yield calendar.day(max(refund.at, order.at)), Line(refunds, amount)
    yield from _order_lines(list(order_by_id.values()), calendar)
    yield from _kept_lines(list(order_by_id.values()), amounts_by_id, calendar)


def _refunds(
    events: Iterable[StreamEvent], order_by_id: Mapping[str, StreamEvent]
) -> Iterator[tuple[StreamEvent, StreamEvent, int]]:
    """Yield each refund with its order and its amount in the base currency.

    A refund of an unknown order counts nothing. The refunds of an order are never more than its payment. A refund in the
    currency of the order is converted at the order's rate, so that a full refund leaves nothing.
    """
    unrefunded_amounts = {id: _payment(order) for id, order in order_by_id.items()}
    for refund in events:
        id = refund.data["order_id"]
        if refund.type == REFUNDED and id in order_by_id:
            order = order_by_id[id]
            is_same_currency = refund.data.get("currency") == order.data.get("currency")
            rate = order.rate if is_same_currency else refund.rate
            amount = min(in_base_currency(refund.data["amount"], rate), unrefunded_amounts[id])
            unrefunded_amounts[id] -= amount
            yield refund, order, amount


def _payment(order: StreamEvent) -> int:
    return in_base_currency(order.data["amount"], order.rate)


def _order_lines(orders_by_time: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    last_day = None
    for number, order in enumerate(orders_by_time, start=1):
        day = calendar.day(order.at)
        yield day, Line(orders, 1)
        yield day, Line(payments, _payment(order))
        if number <= 2:
            yield day, Line(purchasers if number == 1 else repeat_purchasers, 1)
        if day != last_day:
            yield day, Line(purchase_days, 1)
        last_day = day
    yield from _second_lines(orders_by_time, purchase_seconds, calendar)


def _kept_lines(
    orders_by_time: Sequence[StreamEvent], refunds_by_id: Mapping[str, Sequence[int]], calendar: Calendar
) -> Iterator[DatedLine]:
    """Yield what was kept of the orders. An order of which nothing is left after a refund is none."""
    left = [(order, _payment(order), refunds_by_id.get(order.data["order_id"])) for order in orders_by_time]
    kept_orders = [(order, paid - sum(back or ())) for order, paid, back in left if back is None or sum(back) < paid]
    for order, amount in kept_orders:
        yield calendar.day(order.at), Line(orders_kept, 1)
        yield calendar.day(order.at), Line(payments_kept, amount)
    yield from _second_lines([order for order, _ in kept_orders], kept_purchase_seconds, calendar)


def _second_lines(orders_by_time: Sequence[StreamEvent], measure: Measure, calendar: Calendar) -> Iterator[DatedLine]:
    """Yield on the day of each order by how much it extends the time since the first one."""
    seconds = 0
    for order in orders_by_time:
        seconds_so_far = (order.at - orders_by_time[0].at) // _SECOND
        yield calendar.day(order.at), Line(measure, seconds_so_far - seconds)
        seconds = seconds_so_far
