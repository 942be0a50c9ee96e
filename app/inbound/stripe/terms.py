"""What a subscription of Stripe costs: the yearly amount of its items, its plan and its seats."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from app.core.ids import MAX_ID_LENGTH
from app.inbound.stripe.tiers import sum_tiers
from app.ingest.payload import Fields, Untranslatable

# Amounts are in the smallest unit of the currency, as Stripe sees it: of ISK and UGX it still counts hundredths.
_DIGITS = dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND"), 0)
_DIGITS |= dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0) | dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3)
_PER_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
_LEDGER_DIGITS = Decimal("0.0001")
# An amount of more digits is no price, and could not be rounded.
_MAX_DIGITS = 20


class StripeTerms(NamedTuple):
    """amount: per year, in `currency`. plan: that of the item with the largest amount. remarks: what it leaves out."""

    amount: Decimal
    currency: str
    plan: str | None
    seats: int
    remarks: list[str]


class _Item(NamedTuple):
    """amount: per year. payments: in a year. is_counted: whether it has a price that is known in advance."""

    amount: Decimal
    payments: Decimal
    plan: str | None
    seats: int
    is_counted: bool


def digits_of(currency: str) -> int:
    """Return how many decimals the amounts of a currency have."""
    return _DIGITS.get(currency, 2)


def format_amount(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def find_customer(item: Fields) -> str | None:
    """Return the id of the customer of an object, which may have the customer itself."""
    return item.find_text("customer") or item.find_text("customer", "id")


def read_terms(subscription: Fields) -> StripeTerms:
    """Return the terms of a subscription. Raises Untranslatable where the payload does not have them."""
    if subscription.find("items", "has_more") is True:
        raise Untranslatable(
            "The subscription has more items than Stripe puts into an event. Give the source an `api_key` that may read "
            "subscriptions, then replay."
        )
    rows = list(subscription.objects("items", "data"))
    if not rows:
        raise Untranslatable("The subscription has no items.")
    prices = [row.find_object("price") or row.object("plan") for row in rows]
    currency = prices[0].text("currency").upper()
    items = [_read_item(row, price, currency) for row, price in zip(rows, prices, strict=True)]
    remarks = (
        [] if all(item.is_counted for item in items) else ["Metered items are not counted: their amounts come later."]
    )
    total = sum((item.amount for item in items), Decimal(0))
    if total.adjusted() > _MAX_DIGITS:
        raise Untranslatable("The price is too large.")
    amount, has_unknown_discount = _apply_discounts(subscription, total, items[0].payments, currency)
    if has_unknown_discount or any(row.find("discounts") for row in rows):
        remarks.append("A discount is not in the payload, so the price without it counts.")
    # The first of those that cost most.
    main = max(items, key=lambda item: item.amount)
    return StripeTerms(
        max(amount, Decimal(0)).quantize(_LEDGER_DIGITS, ROUND_HALF_EVEN),
        currency,
        main.plan,
        sum(item.seats for item in items),
        remarks,
    )


def _read_item(row: Fields, price: Fields, currency: str) -> _Item:
    if price.text("currency").upper() != currency:
        raise Untranslatable("The items of the subscription have several currencies.")
    # A plan, as older versions of the API have it, says at its own level what a price says under `recurring`.
    recurring = price.find_object("recurring") or price
    interval = recurring.text("interval")
    if interval not in _PER_YEAR:
        raise Untranslatable(f"{recurring.pointer}/interval must be day, week, month or year.")
    payments = Decimal(_PER_YEAR[interval]) / max(recurring.find_number("interval_count") or Decimal(1), Decimal(1))
    plan = _name_plan(price)
    if recurring.find("usage_type") == "metered":
        return _Item(Decimal(0), payments, plan, 0, is_counted=False)
    found_quantity = row.find_number("quantity")
    quantity = Decimal(1) if found_quantity is None else found_quantity
    if price.find("billing_scheme") == "tiered":
        due = sum_tiers(price, quantity)
    else:
        due = _find_unit_amount(price) * _count_packages(price, quantity)
    return _Item((due * payments).scaleb(-digits_of(currency)), payments, plan, int(quantity), is_counted=True)


def _find_unit_amount(price: Fields) -> Decimal:
    unit = next(
        (
            number
            for name in ("unit_amount_decimal", "unit_amount", "amount_decimal", "amount")
            if (number := price.find_number(name)) is not None
        ),
        None,
    )
    if unit is None or unit < 0:
        raise Untranslatable(f"{price.pointer}/unit_amount must be a number.")
    return unit


def _name_plan(price: Fields) -> str | None:
    names = (price.find_text("lookup_key"), price.find_text("nickname"), price.text("id"))
    return next((name for name in names if name and len(name) <= MAX_ID_LENGTH and name.isprintable()), None)


def _count_packages(price: Fields, quantity: Decimal) -> Decimal:
    """Return how many units of a price a quantity is: some prices are for packages of several."""
    if (transform := price.find_object("transform_quantity")) is None:
        return quantity
    packages = quantity / max(transform.number("divide_by"), Decimal(1))
    return packages.to_integral_value(ROUND_CEILING if transform.find("round") == "up" else ROUND_FLOOR)


def _apply_discounts(subscription: Fields, amount: Decimal, payments: Decimal, currency: str) -> tuple[Decimal, bool]:
    """Return the amount without the discounts that last for ever, and whether there is one that the payload only names.

    A discount that ends does not count, as in Stripe's own MRR.
    """
    has_unknown = False
    for coupon in _coupons(subscription):
        if coupon is None:
            has_unknown = True
        elif coupon.find("duration") != "forever":
            continue
        elif (percent := coupon.find_number("percent_off")) is not None:
            amount -= amount * percent / 100
        elif (off := coupon.find_number("amount_off")) is not None:
            amount -= (off * payments).scaleb(-digits_of(currency))
    return amount, has_unknown


def _coupons(subscription: Fields) -> Iterator[Fields | None]:
    """Yield the coupons of a subscription; None for one of which the payload has the id only."""
    raws = subscription.find("discounts")
    raws = raws if isinstance(raws, list) and raws else [subscription.find("discount")]
    for raw in raws:
        if isinstance(raw, dict):
            discount = Fields(raw)
            yield discount.find_object("coupon") or discount.find_object("source", "coupon")
        elif raw is not None:
            yield None
