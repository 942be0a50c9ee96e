"""Money in the ledger: amounts converted to the base currency, as integers in ten-thousandths of it."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

# The ledger stores money in ten-thousandths: an amount of 1.00 is 10,000 ledger units.
MONEY_SCALE = 10_000


# Cached because a stream is derived again at each of its changes, and all its amounts with it.
@lru_cache(maxsize=10_000)
def in_base_currency(amount: str, rate: Decimal | None, *, times: Fraction = Fraction(1)) -> int:
    """Return so many times an amount, in ledger units of the base currency.

    Rounded once, at the end, half up. rate: the value of one unit of the amount's currency in the base currency; None when it
    is the base currency.
    """
    return int(Fraction(amount) * times * Fraction(1 if rate is None else rate) * MONEY_SCALE + Fraction(1, 2))


def per_month(per_year: int) -> int | Fraction:
    """Return the exact twelfth of an amount per year: a whole number of ledger units wherever it is one."""
    whole, rest = divmod(per_year, 12)
    return Fraction(per_year, 12) if rest else whole
