"""From weights to the score: which share each component has, and how the contributions add up to the score exactly.

Everything is exact: weights are fractions, scores whole numbers of hundredths of a point.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from operator import mul
from typing import NamedTuple

from app.health.kinds import WHOLE
from app.health.model import WeightRules


class Shares(NamedTuple):
    """The shares of all components in a score, as whole numbers of which `whole` make 1, and the coverage.

    coverage: the share of the weight of all components that those with data have.
    """

    shares: tuple[int, ...]
    whole: int
    coverage: Fraction


def find_shares(weights: tuple[Fraction, ...], factors: tuple[int, ...], rules: WeightRules) -> Shares:
    """Return the shares of components with these weights.

    factors: the percentage of its weight that each has; 0 for one without data. Where a category would have more than its cap,
    it has just that, and the others have the rest in proportion to their weights. If no others are left, those that are capped
    have shares in proportion to their caps.
    """
    categories, caps = rules
    own = [weight * factor / WHOLE for weight, factor in zip(weights, factors, strict=True)]
    total = sum(weights)
    coverage = sum(own, Fraction(0)) / total if total else Fraction(0)
    if not any(own):
        return Shares((0,) * len(own), 1, coverage)
    # A component without category is alone in one, without a cap.
    groups = [category if category is not None else -1 - number for number, category in enumerate(categories)]
    weight_by_group: dict[int, Fraction] = {}
    for group, weight in zip(groups, own, strict=True):
        if weight:
            weight_by_group[group] = weight_by_group.get(group, Fraction(0)) + weight
    scale = _scales(weight_by_group, {group: caps[group] if group >= 0 else Fraction(1) for group in weight_by_group})
    shares = [weight * scale[group] if weight else Fraction(0) for group, weight in zip(groups, own, strict=True)]
    whole = lcm(*(share.denominator for share in shares))
    return Shares(tuple(int(share * whole) for share in shares), whole, coverage)


def _scales(weights: dict[int, Fraction], caps: dict[int, Fraction]) -> dict[int, Fraction]:
    """Return by which number the weights of each group are multiplied to be shares, which add up to 1."""
    groups_at_cap: set[int] = set()
    while free := weights.keys() - groups_at_cap:
        rest = 1 - sum((caps[group] for group in groups_at_cap), Fraction(0))
        scale = rest / sum((weights[group] for group in free), Fraction(0))
        above = {group for group in free if weights[group] * scale > caps[group]}
        if not above:
            return {group: caps[group] / weights[group] if group in groups_at_cap else scale for group in weights}
        groups_at_cap |= above
    all_caps = sum(caps.values(), Fraction(0))
    return {group: caps[group] / all_caps / weights[group] for group in weights}


def weighted_score(shares: Shares, scores: Sequence[int]) -> int:
    """Return the score of components with these shares, rounded half up. A component without a share may have any score."""
    total: int = sum(map(mul, shares.shares, scores))
    whole = shares.whole
    return (2 * total + whole) // (2 * whole)


def contributions(shares: Shares, scores: Sequence[int]) -> list[int]:
    """Return the part of each component in the score: whole numbers that add up to it.

    Each is rounded down, and what is left over goes to those with the largest remainders, the first of those that are equal.
    """
    products = [*map(mul, shares.shares, scores)]
    parts = [product // shares.whole for product in products]
    rest = weighted_score(shares, scores) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda number: (-(products[number] % shares.whole), number))
    for number in by_remainder[:rest]:
        parts[number] += 1
    return parts
