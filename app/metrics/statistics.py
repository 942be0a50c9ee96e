"""Confidence intervals and significance tests for proportions and net promoter scores, all at 95%."""

from math import sqrt

# The two-sided 95% point of the standard normal distribution.
Z_95 = 1.959963984540054


def wilson_interval(part: float, of: float) -> tuple[float, float]:
    """Return the interval of the proportion `part` / `of` (of > 0), low and high in percent.

    The numbers need not be whole where `of` is the effective size of a sample.

    Source: Wilson 1927, without continuity correction.
    """
    p, zz = part / of, Z_95 * Z_95
    center = (p + zz / (2 * of)) / (1 + zz / of)
    half_width = Z_95 * sqrt(p * (1 - p) / of + zz / (4 * of * of)) / (1 + zz / of)
    # At 0% and 100% one bound is the proportion itself; rounding must not push the bound past it.
    low = 0.0 if part == 0 else max(0.0, center - half_width)
    high = 1.0 if part == of else min(1.0, center + half_width)
    return 100 * low, 100 * high


def estimate_net_score(promoters: int, detractors: int, responses: int) -> tuple[float, float]:
    """Return the adjusted mean of responses counted as 1, 0 and -1, and the variance of that mean (responses > 0).

    Adds three responses, ¾ each to promoters and detractors, so that a few unanimous responses still have a variance. The
    variance of one response is p + d - (p - d)². Source: Rocks 2016, "Interval estimation for the Net Promoter Score".
    """
    n = responses + 3
    p, d = (promoters + 0.75) / n, (detractors + 0.75) / n
    return p - d, (p + d - (p - d) ** 2) / n


def adjusted_wald_interval(mean: float, variance: float) -> tuple[float, float]:
    """Return the interval of a net promoter score, low and high in points of -100 to 100. Source: Rocks 2016.

    mean, variance: from `estimate_net_score`.
    """
    half_width = Z_95 * sqrt(variance)
    return 100 * max(-1.0, mean - half_width), 100 * min(1.0, mean + half_width)


def proportions_differ(part: int, of: int, other_part: int, other_of: int) -> bool:
    """Return whether two proportions (both `of` > 0) differ by more than chance.

    z = (p1 - p2) / √(p (1 - p) (1 / n1 + 1 / n2)) with the pooled p = (x1 + x2) / (n1 + n2). Source: Larson and Farber,
    Elementary Statistics, "Testing the difference between proportions".
    """
    common = (part + other_part) / (of + other_of)
    return _is_significant(part / of - other_part / other_of, common * (1 - common) * (1 / of + 1 / other_of))


def scores_differ(score: tuple[float, float], other_score: tuple[float, float]) -> bool:
    """Return whether two net promoter scores differ by more than chance.

    z = (m1 - m2) / √(v1 + v2), from the means and variances of `estimate_net_score`. Source: Rocks 2016.
    """
    return _is_significant(score[0] - other_score[0], score[1] + other_score[1])


def _is_significant(difference: float, variance: float) -> bool:
    """Return whether a difference is significant in the two-sided z test."""
    return abs(difference) > Z_95 * sqrt(variance)
