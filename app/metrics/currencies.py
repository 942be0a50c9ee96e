"""Amounts of a currency as text, with as many decimals as the currency's smallest unit has (ISO 4217)."""

from fractions import Fraction

from app.ledger.money import MONEY_SCALE

# Currencies whose number of decimals is not two, as their three-letter codes in a row.
_CODES_BY_DECIMALS = {
    0: "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF",
    3: "BHDIQDJODKWDLYDOMRTND",
    4: "CLFUYW",
}
_DECIMALS = {
    codes[start : start + 3]: decimals
    for decimals, codes in _CODES_BY_DECIMALS.items()
    for start in range(0, len(codes), 3)
}


def format_amount(amount: int | Fraction, currency: str) -> str:
    """Return an amount, given in ledger units, as text; halves are rounded away from zero."""
    decimals = _DECIMALS.get(currency, 2)
    # Rounds in whole numbers, because a large answer has many amounts and fractions are slow.
    divisor = MONEY_SCALE * amount.denominator
    rounded_amount = (2 * abs(amount.numerator) * 10**decimals + divisor) // (2 * divisor)
    digits = str(rounded_amount).zfill(decimals + 1)
    if decimals:
        digits = f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"-{digits}" if rounded_amount and amount < 0 else digits
