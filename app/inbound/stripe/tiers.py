"""The price of a quantity by tiers. Source: docs.stripe.com, "Set up tiered pricing"."""

from collections.abc import Sequence
from decimal import Decimal

from app.ingest.payload import Fields, Untranslatable


def sum_tiers(price: Fields, quantity: Decimal) -> Decimal:
    """Return what a quantity costs per payment, in the smallest unit of the currency. Raises Untranslatable without tiers.

    By `volume`, all units cost what the tier of the quantity says; by `graduated`, the units of each tier what that one says.
    The flat amount of the first tier is due for a quantity of zero, too.
    """
    tiers = list(price.objects("tiers"))
    if not tiers:
        raise Untranslatable(
            f"The price {price.text('id')} has tiers, which Stripe does not put into an event. Give the source an `api_key` "
            "that may read prices, then replay."
        )
    if price.find("tiers_mode") == "volume":
        return _cost(_find_tier(tiers, quantity), quantity)
    total, lower = Decimal(0), Decimal(0)
    for tier in tiers:
        upper = tier.find_number("up_to")
        total += _cost(tier, (quantity if upper is None else min(upper, quantity)) - lower)
        if upper is None or quantity <= upper:
            return total
        lower = upper
    raise _too_large(quantity)


def _find_tier(tiers: Sequence[Fields], quantity: Decimal) -> Fields:
    for tier in tiers:
        if (upper := tier.find_number("up_to")) is None or quantity <= upper:
            return tier
    raise _too_large(quantity)


def _too_large(quantity: Decimal) -> Untranslatable:
    return Untranslatable(f"The tiers of the price end before the quantity {quantity}.")


def _cost(tier: Fields, quantity: Decimal) -> Decimal:
    unit = tier.find_number("unit_amount_decimal") or tier.find_number("unit_amount") or Decimal(0)
    flat = tier.find_number("flat_amount_decimal") or tier.find_number("flat_amount") or Decimal(0)
    return unit * quantity + flat
