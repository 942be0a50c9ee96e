"""Intervals: how sure a share or a score is, at 95 %."""

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
