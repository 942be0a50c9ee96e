"""Money as the ledger keeps it: whole ten-thousandths of the base currency."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache


# A stream is derived again at each of its changes, and so are its amounts.
@lru_cache(maxsize=10_000)
def in_base_currency(amount: str, rate: Decimal | None, *, months: Fraction = Fraction(1)) -> int:
    """An amount, or what it is a month, in ten-thousandths, rounded half up once, at the end.

    rate: what one unit of its currency is worth in the base currency; None when it is the base currency.
    """
    price = Fraction(amount) / months
    return int(price * Fraction(1 if rate is None else rate) * 10_000 + Fraction(1, 2))
