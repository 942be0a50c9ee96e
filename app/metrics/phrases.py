"""How sentences write numbers and their units."""

from collections.abc import Iterable
from fractions import Fraction

from app.ledger.money import MONEY_SCALE
from app.metrics.currencies import format_amount

Number = int | float | Fraction

# After the number. What is counted, scored or paid has none.
UNIT_SUFFIXES = {"percent": "%", "days": " days", "hours": " hours", "minutes": " minutes", "months": " months"}


def number(value: Number) -> str:
    """Return a number with at most one decimal: 1,234.5, −2."""
    return f"{float(value):,.1f}".removesuffix(".0").replace("-", "−")


def percent(value: Number) -> str:
    """Return a percentage with at most one decimal: 12.5%."""
    return f"{number(value)}%"


def money(amount: int | Fraction, currency: str) -> str:
    """Return an amount of ledger units with its currency: 1200.00 EUR."""
    return f"{format_amount(amount, currency)} {currency}"


def in_unit(value: Number, unit: str, currency: str, *, beside: Iterable[Number] = ()) -> str:
    """Return a value of a metric with its unit: 61.5%, 1200.00 EUR.

    beside: other values of the sentence. It gets more decimals where it would look like one that it is not.
    """
    if unit == "money":
        return money(Fraction(str(value)) * MONEY_SCALE, currency)
    text = number(value)
    if any(other != value and number(other) == text for other in beside):
        text = f"{float(value):,.6f}".rstrip("0").removesuffix(".").replace("-", "−")
    return text + UNIT_SUFFIXES.get(unit, "")


def plural(count: int, noun: str, verb: str = "") -> str:
    """Return a count with its noun: 1 customer, 3 customers. verb: two forms for one and for several, as in `is/are`."""
    text = f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
    return f"{text} {verb.split('/')[count != 1]}" if verb else text


def share(part: Number, of: Number) -> float:
    """Return a part as a percentage of the whole; 0 of nothing."""
    return float(100 * part / of) if of else 0.0
