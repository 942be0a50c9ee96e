"""How an amount of a currency is written: with as many digits as its smallest unit has (ISO 4217)."""

from fractions import Fraction

# All that have not two; three letters each.
_BY_DIGITS = {
    0: "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF",
    3: "BHDIQDJODKWDLYDOMRTND",
    4: "CLFUYW",
}
_DIGITS = {codes[at : at + 3]: digits for digits, codes in _BY_DIGITS.items() for at in range(0, len(codes), 3)}


def in_digits(amount: int | Fraction, currency: str) -> str:
    """Ten-thousandths of the currency as text; a half is rounded away from zero."""
    digits = _DIGITS.get(currency, 2)
    # Half up, in whole numbers: there may be many of them.
    above, below = 2 * abs(amount.numerator) * 10**digits, 2 * 10_000 * amount.denominator
    rounded = (above + below // 2) // below
    sign = "-" if rounded and amount < 0 else ""
    whole, rest = divmod(rounded, 10**digits)
    return f"{sign}{whole}.{rest:0{digits}}" if digits else f"{sign}{whole}"
