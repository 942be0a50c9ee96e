"""How an amount of a currency is written: with as many digits as its smallest unit has (ISO 4217)."""

from decimal import ROUND_HALF_UP, Decimal

_DIGITS = (
    dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    )
    | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
    | dict.fromkeys(["CLF", "UYW"], 4)
)


def in_digits(amount: float, currency: str) -> str:
    """An amount as text, rounded half up to the currency's digits."""
    return str(Decimal(repr(amount)).quantize(Decimal(1).scaleb(-_DIGITS.get(currency, 2)), ROUND_HALF_UP))
