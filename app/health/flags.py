"""Flags: what a score does not say, since it is a mean. Each is an entry of FLAGS: a function that returns its condition.

What the condition needs of the model is looked up once for all accounts.
"""

from collections.abc import Callable

from app.health.components.metrics import BaselineComponent
from app.health.model import REVENUE, USAGE
from app.health.scores import DayScores

# Whether the account with an index has the flag.
_Condition = Callable[[int], bool]
_OPPOSITE = ({"critical", "healthy"},)


def _disagreement(scores: DayScores) -> _Condition:
    """Usage is critical and revenue healthy, or the other way round.

    The account pays for what it does not use, or will pay less for what it does use.
    """
    usage, revenue = (_category_band(scores, category) for category in (USAGE, REVENUE))
    return lambda index: {usage(index), revenue(index)} in _OPPOSITE


def _category_band(scores: DayScores, category: str) -> Callable[[int], str | None]:
    """Return the function of the band of the mean of a category's components, by their shares; None without data of any."""
    model = scores.version.model
    columns = [
        (number, scores.components[component.id].scores)
        for number, component in enumerate(model.components)
        if component.category == category
    ]

    def find_band(index: int) -> str | None:
        shares = scores.shares[index].shares
        total = weighted = 0
        for number, column in columns:
            score = column[index]
            if score is not None:
                total += shares[number]
                weighted += shares[number] * score
        return model.band((2 * weighted + total) // (2 * total)) if total else None

    return find_band


def _silence(scores: DayScores) -> _Condition:
    """There is a baseline, and nothing in the recent weeks."""
    columns = [
        scores.components[component.id].values
        for component in scores.version.model.components
        if isinstance(component, BaselineComponent)
    ]
    return lambda index: any(column[index] == 0 for column in columns)


FLAGS: dict[str, Callable[[DayScores], _Condition]] = {
    "usage_and_revenue_disagree": _disagreement,
    "went_silent": _silence,
}


def flag_finder(scores: DayScores) -> Callable[[int], list[str]]:
    """Return the function that returns the flags of the account with an index."""
    conditions = [(name, condition(scores)) for name, condition in FLAGS.items()]
    return lambda index: [name for name, applies in conditions if applies(index)]
