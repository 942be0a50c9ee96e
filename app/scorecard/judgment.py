"""How near a value is to its target: attainment, what is expected by now, where the period will end, and the status.

Everything is computed in fractions, from numbers as answers show them: whoever computes it again from an answer gets the same.
"""

from fractions import Fraction
from typing import Literal, NamedTuple

Status = Literal["met", "on_track", "behind", "missed", "no_data"]

NOT_BEGUN = "not_begun"


class Aim(NamedTuple):
    """What a value is compared with.

    sign: 1 where higher values are better, else -1. target, baseline: of the period. path_value: of the path by now; only for
    metrics that do not add up over time. is_flow: whether it adds up over time. is_final_early: whether a value that has
    passed the target stays beyond it until the end of the period. days, all_days: how many days of the period have come,
    today included, and how many it has. has_ended: whether it is over.
    """

    sign: int
    target: Fraction
    baseline: Fraction | None
    path_value: Fraction
    is_flow: bool
    is_final_early: bool
    days: int
    all_days: int
    has_ended: bool

    @property
    def days_passed(self) -> Fraction:
        """The share of the days of the period that have come."""
        return Fraction(self.days, self.all_days)

    def reaches(self, value: Fraction, level: Fraction) -> bool:
        """Return whether a value is at least as good as another."""
        return self.sign * (value - level) >= 0


class Judgment(NamedTuple):
    """How near a value is to its target. Each number is None where it cannot be computed."""

    attainment: Fraction | None
    expected: Fraction | None
    projection: Fraction | None
    projection_rule: str
    gap: Fraction | None
    status: Status


def judge(value: Fraction | None, aim: Aim) -> Judgment:
    """Return how near a value is to its target."""
    has_begun = aim.days_passed > 0
    expected = _expected(aim) if has_begun else None
    if value is None or expected is None:
        return Judgment(None, expected, None, _projection_rule(aim, has_value=False), None, "no_data")
    projection = value / aim.days_passed if aim.is_flow and not aim.has_ended else value
    rule = _projection_rule(aim, has_value=True)
    return Judgment(
        _attainment(value, aim), expected, projection, rule, value - aim.target, _status(value, expected, aim)
    )


def _expected(aim: Aim) -> Fraction:
    return aim.target * aim.days_passed if aim.is_flow else aim.path_value


def _attainment(value: Fraction, aim: Aim) -> Fraction | None:
    """Return the percentage of the way from the baseline to the target; not cut off at 0 or 100.

    Of a metric that adds up over time, the baseline counts for the days that have come. Without a baseline it is 0, or twice
    the target where lower values are better; a target of 0 or less has no such baseline.
    """
    baseline = aim.baseline
    if baseline is None:
        if aim.target <= 0:
            return None
        baseline = Fraction(0) if aim.sign > 0 else 2 * aim.target
    if baseline == aim.target:
        return None
    share = aim.days_passed if aim.is_flow else Fraction(1)
    return 100 * (value - baseline * share) / (aim.target - baseline)


def _projection_rule(aim: Aim, *, has_value: bool) -> str:
    if not has_value:
        return "There is no value to project."
    if aim.has_ended:
        return "The period has ended: the value is final, as far as is known."
    if aim.is_flow:
        return (
            f"Run rate: the value so far × {aim.all_days} ÷ {aim.days}, the days of the period and those that have passed, "
            "today included."
        )
    return "The last value: levels and rates are not extrapolated."


def _status(value: Fraction, expected: Fraction, aim: Aim) -> Status:
    is_reached = aim.reaches(value, aim.target)
    if aim.has_ended:
        return "met" if is_reached else "missed"
    # Such a value only grows until the end.
    if aim.is_final_early and aim.sign > 0 and is_reached:
        return "met"
    if aim.is_final_early and aim.sign < 0 and not is_reached:
        return "missed"
    return "on_track" if aim.reaches(value, expected) else "behind"
