"""How sure a share or a score is, and whether two of them differ, at 95 %."""

from math import sqrt

# The two-sided 95 % point of the normal distribution.
Z = 1.959963984540054


def wilson(part: int, of: int) -> tuple[float, float]:
    """The interval of the proportion `part` / `of` (of > 0), in percent. Source: Wilson 1927, without continuity correction."""
    p, zz = part / of, Z * Z
    middle = (p + zz / (2 * of)) / (1 + zz / of)
    half = Z * sqrt(p * (1 - p) / of + zz / (4 * of * of)) / (1 + zz / of)
    # At the ends the bound is exact; rounding must not push it past its own value.
    low = 0.0 if part == 0 else max(0.0, middle - half)
    high = 1.0 if part == of else min(1.0, middle + half)
    return 100 * low, 100 * high


def net_score(promoters: int, detractors: int, of: int) -> tuple[float, float]:
    """A net promoter score as the mean of answers that are 1, 0 and -1, and the variance of that mean (of > 0).

    Adds 3 answers, ¾ each to promoters and detractors: so even unanimous answers vary, as a few of them may be. Variance of
    an answer p + d - (p - d)². Source: Rocks 2016, "Interval estimation for the Net Promoter Score".
    """
    n = of + 3
    p, d = (promoters + 0.75) / n, (detractors + 0.75) / n
    return p - d, (p + d - (p - d) ** 2) / n


def adjusted_wald(mean: float, variance: float) -> tuple[float, float]:
    """The interval of a net promoter score, in points of -100 to 100, by what `net_score` says of it. Source: Rocks 2016."""
    half = Z * sqrt(variance)
    return 100 * max(-1.0, mean - half), 100 * min(1.0, mean + half)


def shares_differ(part: int, of: int, other_part: int, other_of: int) -> bool:
    """Whether two proportions (of > 0) differ by more than chance.

    z = (p1 - p2) / √(p (1 - p) (1 / n1 + 1 / n2)) with the pooled p = (x1 + x2) / (n1 + n2). Source: Larson and Farber,
    Elementary Statistics, "Testing the difference between proportions".
    """
    pooled = (part + other_part) / (of + other_of)
    return _differ(part / of - other_part / other_of, pooled * (1 - pooled) * (1 / of + 1 / other_of))


def scores_differ(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two net promoter scores, by what `net_score` says of each, differ by more than chance.

    z = (m1 - m2) / √(v1 + v2). Source: Rocks 2016.
    """
    return _differ(one[0] - other[0], one[1] + other[1])


def _differ(gap: float, variance: float) -> bool:
    """The two-sided z test."""
    return abs(gap) > Z * sqrt(variance)
