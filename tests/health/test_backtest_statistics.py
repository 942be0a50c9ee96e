"""The statistics of a back-test against hand computation and against brute force."""

from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.health.backtest.statistics import (
    Observations,
    area_under_curve,
    bootstrap_interval,
    calibration_rows,
    count_resamples,
    find_lift,
    find_worst_decile,
    measure_frequency,
    roc_points,
    to_columns,
)
from app.metrics.statistics import wilson_interval
from tests.support.campaign import examples

# (account, score, whether it churned)
Row = tuple[int, int, bool]
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 2, 500, 9_999, 10_000]), st.booleans()), max_size=40
)
RANDOM_ROWS = settings(deadline=None, max_examples=examples(100), suppress_health_check=list(HealthCheck))
FEW_ROWS = settings(RANDOM_ROWS, max_examples=examples(10))


def share_of_pairs(rows: list[Row]) -> float | None:
    """The share of pairs in which the one that churned has the lower score, by comparing all pairs."""
    churned = [score for _, score, outcome in rows if outcome]
    retained = [score for _, score, outcome in rows if not outcome]
    pairs = [1.0 if low < high else 0.5 if low == high else 0.0 for low, high in product(churned, retained)]
    return sum(pairs) / len(pairs) if pairs else None


@pytest.mark.parametrize(
    ("churned", "retained", "expected"),
    [
        # 20 < 30, 20 < 80; 50 > 30, 50 < 80: three of four pairs.
        ([20, 50], [30, 80], 0.75),
        # A tie counts half: (1 + 0.5) / 2.
        ([30], [30, 80], 0.75),
        ([10, 20], [30, 40], 1.0),
        ([30, 40], [10, 20], 0.0),
        ([50, 50], [50, 50, 50], 0.5),
        ([], [50], None),
        ([50], [], None),
    ],
)
def test_the_auc_is_the_share_of_pairs(churned: list[int], retained: list[int], expected: float | None) -> None:
    rows = [(0, score, True) for score in churned] + [(1, score, False) for score in retained]
    assert area_under_curve(to_columns(rows)) == expected


@RANDOM_ROWS
@given(ROWS)
def test_the_auc_of_any_observations_is_the_share_of_all_pairs(rows: list[Row]) -> None:
    expected = share_of_pairs(rows)
    assert area_under_curve(to_columns(rows)) == (None if expected is None else pytest.approx(expected))


@FEW_ROWS
@given(ROWS)
def test_the_bootstrap_resamples_accounts_with_all_their_observations(rows: list[Row]) -> None:
    """The interval equals that of resamples that are really built, from the same random numbers."""
    if not rows:
        assert bootstrap_interval(to_columns(rows)) is None
        return
    accounts = sorted({account for account, *_ in rows})
    count = len(accounts)
    random, areas = Random(20_260_315), []
    for _ in range(count_resamples(count)):
        drawn = [accounts[first // 100] for first in random.choices(range(0, 100 * count, 100), k=count)]
        area = share_of_pairs([row for account in drawn for row in rows if row[0] == account])
        areas += [] if area is None else [area]
    areas.sort()
    outside = int(0.025 * len(areas))
    expected = pytest.approx((areas[outside], areas[-1 - outside])) if areas else None
    assert bootstrap_interval(to_columns(rows)) == expected


def test_the_interval_is_always_the_same_and_contains_the_auc() -> None:
    random = Random(1)
    rows = [(n % 50, random.randrange(10_001), random.random() < 0.2) for n in range(500)]
    low, high = bootstrap_interval(to_columns(rows)) or (1.0, 0.0)
    assert low < (area_under_curve(to_columns(rows)) or 0) < high
    assert bootstrap_interval(to_columns(rows)) == (low, high)


def test_observations_that_are_repeated_do_not_narrow_the_interval() -> None:
    """Twelve cut-offs at which every account has the same score and outcome say no more than one does."""
    random = Random(2)
    once = [(n, random.randrange(10_001), random.random() < 0.3) for n in range(60)]
    assert bootstrap_interval(to_columns(once * 12)) == pytest.approx(bootstrap_interval(to_columns(once)))
    repeated, single = measure_frequency(to_columns(once * 12)), measure_frequency(to_columns(once))
    assert (repeated.rate, repeated.interval) == (single.rate, pytest.approx(single.interval))
    assert repeated.observations == 12 * single.observations


def test_resamples_become_fewer_where_there_are_very_many_accounts() -> None:
    assert [count_resamples(count) for count in (0, 2_000, 4_000, 8_000, 20_000, 200_000)] == [
        1_000,
        1_000,
        1_000,
        500,
        200,
        200,
    ]


def test_the_interval_of_accounts_that_occur_once_is_that_of_wilson() -> None:
    rows = [(n, 0, n < 3) for n in range(20)]
    frequency = measure_frequency(to_columns(rows))
    assert (frequency.observations, frequency.accounts, frequency.outcomes, frequency.rate) == (20, 20, 3, 15.0)
    # By hand: 3 of 20, z = 1.96: center 0.2064, half width 0.1540.
    assert frequency.interval == pytest.approx((5.2369, 36.0419), abs=1e-3)
    assert frequency.interval == pytest.approx(wilson_interval(3, 20))


def test_the_interval_of_accounts_that_recur_has_their_effective_number() -> None:
    # Two accounts twice each: one churned both times, one never. The rate is ½; between accounts the variance is
    # (2 - 1)² + (0 - 1)² = 2, of four independent observations 4 · ½ · ½ = 1: four observations are worth two.
    frequency = measure_frequency(to_columns([(0, 0, True), (0, 0, True), (1, 0, False), (1, 0, False)]))
    assert frequency.interval == pytest.approx(wilson_interval(1, 2))
    # Without any outcome, or with outcomes only, the number of accounts counts.
    assert measure_frequency(to_columns([(0, 0, False), (0, 0, False), (1, 0, False)])).interval == wilson_interval(
        0, 2
    )
    assert measure_frequency(to_columns([(0, 0, True), (0, 0, True)])).interval == wilson_interval(1, 1)
    assert measure_frequency(to_columns([])).interval is None


@RANDOM_ROWS
@given(ROWS)
def test_a_rate_lies_within_its_interval(rows: list[Row]) -> None:
    frequency = measure_frequency(to_columns(rows))
    if frequency.interval:
        low, high = frequency.interval
        assert 0 <= low <= (frequency.rate or 0) + 1e-9
        assert (frequency.rate or 0) - 1e-9 <= high <= 100


def test_the_worst_decile_is_a_tenth_and_a_part_of_those_with_the_same_score() -> None:
    # The worst two of twenty: one of them churned, and 4 of all did: 50% against 20%.
    rows = [(n, n, n in (1, 5, 6, 7)) for n in range(20)]
    decile = find_worst_decile(to_columns(rows))
    assert (decile.size, decile.outcomes) == (2.0, 1.0)
    assert find_lift([decile], to_columns(rows)) == pytest.approx(2.5)
    # Two of twenty, but four have the lowest score, two of which churned: half of those counts.
    tied_rows = [(n, 0 if n < 4 else 1, n < 2) for n in range(20)]
    assert find_worst_decile(to_columns(tied_rows)).outcomes == 1.0
    # One and a half of fifteen.
    assert find_worst_decile(to_columns([(n, n, True) for n in range(15)])) == (1.5, 1.5)
    assert find_lift([], to_columns([])) is None


def test_the_lift_of_equal_scores_is_one_and_of_deciles_is_that_of_all_together() -> None:
    alike = to_columns([(n, 50, n % 3 == 0) for n in range(30)])
    assert find_lift([find_worst_decile(alike)], alike) == pytest.approx(1)
    first = [(n, n, n == 0) for n in range(10)]
    second = [(n, n, n == 9) for n in range(10)]
    deciles = [find_worst_decile(to_columns(rows)) for rows in (first, second)]
    # Of two accounts in the worst deciles one churned, of twenty in all two did: 50% against 10%.
    assert find_lift(deciles, to_columns(first + second)) == pytest.approx(5)


def test_calibration_has_a_row_for_each_tenth_of_the_scale_with_all_observations_once() -> None:
    scores = [0, 999, 1_000, 5_000, 8_999, 9_000, 10_000]
    rows = calibration_rows(Observations(range(7), scores, [False] * 7))
    assert [list(row.scores) for row in rows] == [
        [0, 999],
        [1_000],
        [],
        [],
        [],
        [5_000],
        [],
        [],
        [8_999],
        [9_000, 10_000],
    ]


@given(ROWS)
@RANDOM_ROWS
def test_the_area_under_the_roc_curve_is_that_of_scores_cut_to_whole_points(rows: list[Row]) -> None:
    points = roc_points(to_columns(rows))
    area = share_of_pairs([(account, score // 100, outcome) for account, score, outcome in rows])
    if area is None:
        assert points == []
        return
    shares = [(own.false_alarm_share / 100, own.hit_share / 100) for own in points]
    trapezoids = sum((x - x0) * (y + y0) / 2 for (x0, y0), (x, y) in pairwise(shares))
    assert trapezoids == pytest.approx(area)
    assert (points[0].observations, points[-1].observations, shares[-1]) == (0, len(rows), (1, 1))
    for own in points:
        below = [outcome for _, score, outcome in rows if score < 100 * own.score_below]
        assert (own.observations, own.outcomes) == (len(below), sum(below))
