"""The headers by which a client says what it prefers, such as `Accept` (RFC 9110, 12.4.2). It has no framework in it."""

from collections.abc import Iterator, Sequence


def read_preferences(header: str) -> Iterator[tuple[str, float]]:
    """Yield the items of a header in lower case, each with its quality from 0 to 1; a quality that is no number is 0."""
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        yield name, _quality(parameters)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            # NaN is not at least 0.
            return min(quality, 1.0) if quality >= 0 else 0.0
    return 1.0
