"""How an amount of a currency is written: with as many digits as its smallest unit has (ISO 4217)."""

from decimal import Decimal
from fractions import Fraction

# All that have not two; three letters each.
_BY_DIGITS = {
    0: "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF",
    3: "BHDIQDJODKWDLYDOMRTND",
    4: "CLFUYW",
}
_DIGITS = {codes[at : at + 3]: digits for digits, codes in _BY_DIGITS.items() for at in range(0, len(codes), 3)}


def in_digits(amount: Fraction, currency: str) -> str:
    """Ten-thousandths of the currency as text; a half is rounded away from zero."""
    digits = _DIGITS.get(currency, 2)
    rounded = int(abs(amount) * 10**digits / 10_000 + Fraction(1, 2))
    return f"{Decimal(-rounded if amount < 0 else rounded).scaleb(-digits):f}"
