"""Detectors of goals: targets that will not be reached, and large accounts whose health is worse."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from app.core.periods import Period
from app.insights.define import AccountDetail, Example, Finding, detector, inputs, threshold
from app.insights.examples import MOMENT
from app.insights.sources import Moment, moment, offer
from app.ledger.money import MONEY_SCALE
from app.metrics.offers import HealthChange, TargetStanding
from app.metrics.phrases import in_unit, money, number, percent, plural, share

_DAY = timedelta(days=1)
_QUARTER = Period("2026-Q1", date(2026, 1, 1), date(2026, 4, 1), complete=False)
_STANDING = TargetStanding(
    id="nps-target",
    title="Net Promoter Score",
    metric="nps",
    convention="default",
    unit="points",
    direction="up",
    granularity="quarter",
    group={},
    period=_QUARTER,
    clipped=False,
    value=31,
    amount=None,
    target=45,
    target_amount=None,
    baseline=None,
    attainment=68.9,
    expected=45,
    projection=31,
    projection_rule="The last value.",
    interval=None,
    numerator=None,
    denominator=None,
    sample_size=120,
    gap=-14,
    status="behind",
    reason=None,
    trend=[],
    question="/v1/metrics/nps?start=2026-01-01&end=2026-04-01&granularity=quarter",
)


@detector(
    sample="the sample of the target's metric; none of a number that is counted",
    advice="See in the scorecard since when it has been behind, and decide: another plan, or another target.",
    fires=Example(
        "warning",
        "nps is 31 in 2026-Q1: behind its target of 45 (nps-target). It fires after 25% of the period.",
        inputs(standings=[_STANDING], at=MOMENT),
    ),
    quiet=inputs(
        standings=[
            _STANDING._replace(status="on_track"),
            _STANDING._replace(period=Period("2026-Q1", date(2026, 3, 1), date(2026, 6, 1), complete=False)),
        ],
        at=MOMENT,
    ),
)
def target_behind(
    standings: Sequence[TargetStanding] = offer("target_standings", "every target in its current period"),
    at: Moment = moment(),
    *,
    early: float = threshold(25, "percent", "Part of the period that has to have passed."),
    severe: float = threshold(50, "percent", "Attainment below which it is critical."),
) -> Iterator[Finding]:
    """Target behind: a target will not be reached if it goes on like this.

    Targets with the status `behind` or `missed` in the scorecard. A target that is behind does not count at the
    beginning of a period: a few days show no pace.
    """
    for standing in standings:
        start, end = standing.period.start, standing.period.end
        passed_share = share((min(at.today, end) - start).days, (end - start).days)
        if standing.status == "missed" or (standing.status == "behind" and passed_share >= early):
            yield Finding(
                "critical" if standing.attainment is not None and standing.attainment < severe else "warning",
                _sentence(standing, early, at.currency),
                standing.period,
                # How few there are is what is wrong with a number that is counted, and no doubt about it.
                None if standing.unit == "count" else standing.sample_size,
                standing.question,
                subject=standing.id,
            )


def _sentence(standing: TargetStanding, early: float, currency: str) -> str:
    value, target, expected = _shown_numbers(standing, currency)
    group = ", ".join(f"{name} {own}" for name, own in standing.group.items())
    period = standing.period
    days = f"from {period.start} to {period.end - _DAY}" if period.name == "total" else f"in {period.name}"
    start = f"{standing.metric}{group and f' ({group})'} is {value} {days}"
    if standing.status == "missed":
        return f"{start}: its target of {target} is missed ({standing.id}). It fires as soon as that is certain."
    pace = "" if expected == target else f", where {expected} was expected by now"
    return (
        f"{start}{pace}: behind its target of {target} ({standing.id}). It fires after {percent(early)} of the period."
    )


def _shown_numbers(standing: TargetStanding, currency: str) -> list[str]:
    """Return the value, the target, and what is expected, with enough digits to tell the value from the others."""
    expected = standing.target if standing.expected is None else standing.expected
    numbers = [standing.value or 0, standing.target, expected]
    return [in_unit(own, standing.unit, currency, beside=numbers) for own in numbers]


def _health(account: str, mrr: int, score: float, band: str, earlier_score: float, earlier_band: str) -> HealthChange:
    return HealthChange(account, mrr * MONEY_SCALE, score, band, earlier_score, earlier_band)


_DAYS_BETWEEN = 30


@detector(
    sample="",
    advice="`GET /v1/accounts/{id}/health/explanation` says which components changed; begin with the one that cost most.",
    fires=Example(
        "warning",
        "1 customer is in a worse band of health than 30 days ago, with MRR of 500.00 USD, among the tenth with the most MRR "
        "(1). It fires from 5 points less.",
        inputs(accounts=[_health("acme", 500, 60, "at_risk", 85, "healthy")], at=MOMENT),
    ),
    quiet=inputs(accounts=[_health("acme", 500, 67, "at_risk", 71, "healthy")], at=MOMENT),
)
def health_worsened(
    accounts: Sequence[HealthChange] = offer(
        "health_changes",
        "score and band of health of the tenth of customers with the most MRR, yesterday and 30 days before",
        largest=10,
        days_between=_DAYS_BETWEEN,
    ),
    at: Moment = moment(),
    *,
    drop: float = threshold(5, "points", "Fall of the score that counts, so that a score at a limit does not."),
) -> Iterator[Finding]:
    """Health worsened: a large account is in a worse band than a month ago.

    Of the tenth of customers with the most MRR. Both scores are computed by the model of now and from what is known now, so a
    new version of the model or late data is no change. Critical when one of them is in the band `critical` now.
    """
    largest = sorted(accounts, key=lambda own: (-own.mrr, own.account))
    worse = [own for own in largest if own.band != own.earlier_band and own.earlier_score - own.score >= drop]
    if not worse:
        return
    yield Finding(
        "critical" if any(own.band == "critical" for own in worse) else "warning",
        f"{plural(len(worse), 'customer', 'is/are')} in a worse band of health than {_DAYS_BETWEEN} days ago, with MRR of "
        f"{money(sum(own.mrr for own in worse), at.currency)}, among the tenth with the most MRR ({len(largest):,}). "
        f"It fires from {number(drop)} points less.",
        at.last_days(_DAYS_BETWEEN),
        None,
        "/v1/health" + (f"?as_of={at.as_of}" if at.as_of else ""),
        [
            AccountDetail(
                own.account,
                f"{own.earlier_band} ({number(own.earlier_score)}) → {own.band} ({number(own.score)}), "
                f"MRR {money(own.mrr, at.currency)}",
            )
            for own in worse
        ],
    )
