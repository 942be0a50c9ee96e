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


def adjusted_wald(promoters: int, detractors: int, of: int) -> tuple[float, float]:
    """The interval of a net promoter score (of > 0), in points of -100 to 100.

    Adds 3 answers, ¾ each to promoters and detractors; variance p + d - (p - d)². Source: Rocks 2016.
    """
    n = of + 3
    p, d = (promoters + 0.75) / n, (detractors + 0.75) / n
    half = Z * sqrt((p + d - (p - d) ** 2) / n)
    return 100 * max(-1.0, p - d - half), 100 * min(1.0, p - d + half)


def shares_differ(part: int, of: int, other_part: int, other_of: int) -> bool | None:
    """Whether two proportions (of > 0) differ by more than chance.

    z = (p1 - p2) / √(p (1 - p) (1 / n1 + 1 / n2)) with the pooled p = (x1 + x2) / (n1 + n2). Source: Larson and Farber,
    Elementary Statistics, "Testing the difference between proportions".
    """
    pooled = (part + other_part) / (of + other_of)
    return _differ(part / of - other_part / other_of, pooled * (1 - pooled) * (1 / of + 1 / other_of))


def scores_differ(mean: float, variance: float, other_mean: float, other_variance: float) -> bool | None:
    """Whether two net promoter scores, as means of 1, 0 and -1 with the variances of these means, differ by more than chance.

    z = (m1 - m2) / √(v1 + v2), v = (p + d - (p - d)²) / n of promoters p and detractors d. Source: Rocks 2016.
    """
    return _differ(mean - other_mean, variance + other_variance)


def _differ(gap: float, variance: float) -> bool | None:
    """The two-sided z test; None where there is a gap between samples that do not vary in themselves."""
    if variance <= 0:
        return None if gap else False
    return abs(gap) > Z * sqrt(variance)
