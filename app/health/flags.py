"""Flags: what a score does not say, since it is a mean. Each is an entry of FLAGS with its condition."""

from collections.abc import Callable, Iterable

from app.health.components.metrics import BaselineComponent
from app.health.model import REVENUE, USAGE
from app.health.scores import DayScores


def _disagrees(scores: DayScores, index: int) -> bool:
    """Usage is critical and revenue healthy, or the other way round.

    The account pays for what it does not use, or will pay less for what it does use.
    """
    return {_band_of(scores, index, USAGE), _band_of(scores, index, REVENUE)} == {"critical", "healthy"}


def _band_of(scores: DayScores, index: int, category: str) -> str | None:
    """Return the band of the mean of a category's components, by their shares; None where none of them has data."""
    parts: Iterable[tuple[int, int]] = [
        (share, score)
        for component, column, share in zip(
            scores.version.model.components, scores.components.values(), scores.shares[index].shares, strict=True
        )
        if component.category == category and share and (score := column.scores[index]) is not None
    ]
    total = sum(share for share, _ in parts)
    if not total:
        return None
    return scores.version.model.band((2 * sum(share * score for share, score in parts) + total) // (2 * total))


def _went_silent(scores: DayScores, index: int) -> bool:
    """There is a baseline, and nothing in the recent weeks."""
    components = zip(scores.version.model.components, scores.components.values(), strict=True)
    return any(
        isinstance(component, BaselineComponent) and column.values[index] == 0 for component, column in components
    )


FLAGS: dict[str, Callable[[DayScores, int], bool]] = {
    "usage_and_revenue_disagree": _disagrees,
    "went_silent": _went_silent,
}


def flags_of(scores: DayScores, index: int) -> list[str]:
    """Return the flags of an account."""
    return [name for name, applies in FLAGS.items() if applies(scores, index)]
