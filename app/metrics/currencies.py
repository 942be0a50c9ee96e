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
    below = 10_000 * amount.denominator
    rounded = (2 * abs(amount.numerator) * 10**digits + below) // (2 * below)
    said = str(rounded).zfill(digits + 1)
    if digits:
        said = f"{said[:-digits]}.{said[-digits:]}"
    return f"-{said}" if rounded and amount < 0 else said
