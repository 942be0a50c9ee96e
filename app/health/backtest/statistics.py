"""The statistics of a back-test: pure functions of observations.

An observation is the score of one account at one cut-off, and whether the outcome followed. An account recurs at every cut-off,
so its observations are not independent: intervals are those of accounts.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from operator import add, mul
from random import Random
from sys import byteorder
from typing import NamedTuple

from app.metrics.statistics import wilson_interval

# A score is a whole number of hundredths of a point, from 0 to this.
_MAX_SCORE = 10_000
_HUNDREDTHS = 100
CALIBRATION_ROWS = 10

# So many resamples or, of very many accounts, as many as take a few seconds.
_MAX_RESAMPLES = 1_000
_MIN_RESAMPLES = 200
_MAX_DRAWS = 4_000_000
# Always the same, so that the same data has the same interval, and an answer its ETag.
_SEED = 20_260_315
# Resamples are computed so many at a time, each in a lane of 8 bytes of one long integer: an addition adds up all lanes.
_LANES = 100
_LANE_BYTES = 8


class Observations(NamedTuple):
    """Observations as columns. accounts: their keys. scores: in hundredths of a point. outcomes: whether it followed."""

    accounts: Sequence[int]
    scores: Sequence[int]
    outcomes: Sequence[bool]


class Frequency(NamedTuple):
    """How often the outcome followed. accounts: the number of different ones. rate, interval: in percent, None without any."""

    observations: int
    accounts: int
    outcomes: int
    rate: float | None
    interval: tuple[float, float] | None


def area_under_curve(observations: Observations) -> float | None:
    """Return the AUC: the share of pairs of one with the outcome and one without in which the former has the lower score.

    Of a pair with equal scores, half counts. None where there is no pair. Source: Mann and Whitney 1947.
    """
    # Twice the number of pairs, so that half of one is a whole number.
    above, pairs = 0, 0
    for staying, events in _by_score(observations):
        pairs += len(events) * (2 * above + len(staying))
        above += len(staying)
    count = sum(observations.outcomes)
    return pairs / (2 * above * count) if above and count else None


def _by_score(observations: Observations) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield the accounts without the outcome and those with it, for each score, the highest first."""
    by_score: dict[int, tuple[list[int], list[int]]] = {}
    for account, score, has_outcome in zip(*observations, strict=True):
        if score not in by_score:
            by_score[score] = [], []
        by_score[score][has_outcome].append(account)
    return (by_score[score] for score in sorted(by_score, reverse=True))


class RocPoint(NamedTuple):
    """What would have been found by looking at the accounts whose score is below a limit.

    score_below: the limit, in points. observations, outcomes: how many have such a score, and how many of them the outcome
    followed. hit_share, false_alarm_share: percentages of all with the outcome, and of all without.
    """

    score_below: int
    observations: int
    outcomes: int
    hit_share: float
    false_alarm_share: float


def roc_points(observations: Observations) -> list[RocPoint]:
    """Return the ROC curve at whole points of the score, from nobody to everybody; limits that find no others are left out.

    The area under these points is that of scores cut to whole points, which may differ a little from the AUC. None where there is
    no pair.
    """
    count = sum(observations.outcomes)
    without_count = len(observations.outcomes) - count
    if not count or not without_count:
        return []
    by_limit: dict[int, list[int]] = {}
    for score, has_outcome in zip(observations.scores, observations.outcomes, strict=True):
        # The first limit, in points, that the score is below.
        own = by_limit.setdefault(score // _HUNDREDTHS + 1, [0, 0])
        own[has_outcome] += 1
    points = [RocPoint(0, 0, 0, 0.0, 0.0)]
    false_alarms, hits = 0, 0
    for limit, (without, having) in sorted(by_limit.items()):
        false_alarms, hits = false_alarms + without, hits + having
        shares = 100 * hits / count, 100 * false_alarms / without_count
        points.append(RocPoint(limit, false_alarms + hits, hits, *shares))
    return points


def count_resamples(accounts: int) -> int:
    """Return how many resamples the interval takes of so many accounts: a multiple of a hundred."""
    hundreds = _MAX_DRAWS // max(1, accounts) // _LANES
    return max(_MIN_RESAMPLES, min(_MAX_RESAMPLES, hundreds * _LANES))


def bootstrap_interval(observations: Observations) -> tuple[float, float] | None:
    """Return the interval of the AUC at 95%, low and high, by resampling accounts with all of their observations.

    None where no resample has a pair. Source: Efron and Tibshirani 1993, the percentile interval; Field and Welsh 2007, for
    resampling clusters.
    """
    numbers = {account: number for number, account in enumerate(sorted(set(observations.accounts)))}
    by_number = observations._replace(accounts=[numbers[account] for account in observations.accounts])
    scores, count, random = list(_by_score(by_number)), len(numbers), Random(_SEED)
    rounds = range(count_resamples(count) // _LANES)
    areas = sorted(area for _ in rounds for area in _resample_areas(scores, _draw_weights(random, count)))
    if not areas:
        return None
    outside = int(0.025 * len(areas))
    return areas[outside], areas[-1 - outside]


def _draw_weights(random: Random, count: int) -> list[int]:
    """Return for each of `count` accounts how often it is drawn, in each lane: as many draws as accounts, from all of them."""
    draws = array("Q", bytes(_LANE_BYTES * _LANES * count))
    for lane in range(_LANES):
        for first in random.choices(range(0, _LANES * count, _LANES), k=count):
            draws[first + lane] += 1
    content, size = memoryview(draws.tobytes()), _LANE_BYTES * _LANES
    return [int.from_bytes(content[first : first + size], byteorder) for first in range(0, size * count, size)]


def _resample_areas(scores: Sequence[tuple[Sequence[int], Sequence[int]]], weights: Sequence[int]) -> Iterator[float]:
    """Yield the AUC of each lane in which there is a pair. scores: see `_by_score`."""
    weight = weights.__getitem__
    # Twice the number of others with a higher score, and of those with the same one half of that.
    above, higher_by_account = 0, dict[int, int]()
    events_in_all = 0
    for staying, events in scores:
        alike = sum(map(weight, staying))
        for account in events:
            higher_by_account[account] = higher_by_account.get(account, 0) + 2 * above + alike
        events_in_all += sum(map(weight, events))
        above += alike
    pairs = [0] * _LANES
    for account, higher in higher_by_account.items():
        pairs = list(map(add, pairs, map(mul, _lanes(weight(account)), _lanes(higher))))
    for part, others_in_lane, events_in_lane in zip(pairs, _lanes(above), _lanes(events_in_all), strict=True):
        if whole := others_in_lane * events_in_lane:
            yield part / (2 * whole)


def _lanes(number: int) -> Sequence[int]:
    return memoryview(number.to_bytes(_LANE_BYTES * _LANES, byteorder)).cast("Q")


def measure_frequency(observations: Observations) -> Frequency:
    """Return how often the outcome followed, with the Wilson interval of the effective number of observations.

    Each account is a cluster. Where the outcomes of an account are alike, as they are at neighboring cut-offs, the observations
    are worth fewer independent ones: their number is divided by the design effect, the variance of the rate between accounts
    over that of independent observations (at least 1). Where all outcomes are the same it cannot be estimated, and the number of
    accounts counts. Source: Dean and Pagano 2015, "Evaluating confidence interval methods for binomial proportions in clustered
    surveys".
    """
    sizes: dict[int, int] = {}
    events: dict[int, int] = {}
    for account, has_outcome in zip(observations.accounts, observations.outcomes, strict=True):
        sizes[account] = sizes.get(account, 0) + 1
        events[account] = events.get(account, 0) + has_outcome
    total, part = len(observations.accounts), sum(events.values())
    if not total:
        return Frequency(0, 0, 0, None, None)
    effective = _effective_size(sizes, events, total=total, part=part)
    interval = wilson_interval(part * effective / total, effective)
    return Frequency(total, len(sizes), part, 100 * part / total, interval)


def _effective_size(sizes: dict[int, int], events: dict[int, int], *, total: int, part: int) -> float:
    if len(sizes) in (1, total) or part in (0, total):
        return len(sizes)
    rate = part / total
    between = sum((events[account] - rate * size) ** 2 for account, size in sizes.items())
    return total / max(1.0, between / (total * rate * (1 - rate)))


def calibration_rows(observations: Observations) -> list[Observations]:
    """Return the observations by their scores: one row for each tenth of the scale, the lowest first. None are resampled."""
    rows: list[list[tuple[int, int, bool]]] = [[] for _ in range(CALIBRATION_ROWS)]
    width = _MAX_SCORE // CALIBRATION_ROWS
    for own in zip(*observations, strict=True):
        rows[min(own[1] // width, CALIBRATION_ROWS - 1)].append(own)
    return list(map(to_columns, rows))


def to_columns(rows: Sequence[tuple[int, int, bool]]) -> Observations:
    """Return observations as columns, from rows (account, score, outcome)."""
    return Observations(*zip(*rows, strict=True)) if rows else Observations((), (), ())


class WorstDecile(NamedTuple):
    """The tenth of the observations with the lowest scores.

    size: a tenth of their number, which need not be whole. outcomes: how many of them the outcome followed; where only a part
    of those with the same score belongs to the tenth, that part of their outcomes.
    """

    size: float
    outcomes: float


def find_worst_decile(observations: Observations) -> WorstDecile:
    """Return the worst decile of the observations of one cut-off."""
    by_score: dict[int, list[int]] = {}
    for score, has_outcome in zip(observations.scores, observations.outcomes, strict=True):
        own = by_score.setdefault(score, [0, 0])
        own[0] += 1
        own[1] += has_outcome
    size = len(observations.scores) / 10
    rest, outcomes = size, 0.0
    for _, (count, events) in sorted(by_score.items()):
        if rest <= 0:
            break
        outcomes += events * min(1.0, rest / count)
        rest -= count
    return WorstDecile(size, outcomes)


def find_lift(deciles: Iterable[WorstDecile], observations: Observations) -> float | None:
    """Return how many times as often the outcome followed in the worst deciles as in all observations; None without any."""
    deciles = list(deciles)
    size, events = sum(own.size for own in deciles), sum(observations.outcomes)
    if not size or not events:
        return None
    return sum(own.outcomes for own in deciles) / size / (events / len(observations.outcomes))
