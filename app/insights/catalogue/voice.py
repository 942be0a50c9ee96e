"""Detectors of what customers say: NPS, CSAT and comments without an answer."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from app.insights.define import AccountDetail, Example, Finding, Severity, detector, inputs, threshold
from app.insights.examples import MOMENT, months, one_period, row
from app.insights.sources import AccountRow, Moment, Series, account_rows, flow_of_month, history, moment, offer
from app.metrics.compare import is_significant
from app.metrics.offers import OpenAccount, OpenItem, OpenItems
from app.metrics.phrases import number, percent, plural
from app.metrics.results import Result, proportion, score


def _nps(promoters: int, detractors: int, responses: int) -> Result:
    return score(promoters, detractors, of=responses, if_empty="no_responses")


def _csat(good: int, responses: int) -> Result:
    return proportion(good, of=responses, if_empty="no_responses")


def _fall(last: Series, before: Series, *, drop: float) -> float | None:
    """Return by how much a number fell; None if it did not fall by so much, or not by more than chance."""
    value, earlier = last.last.value, before.last.value
    if value is None or earlier is None or earlier - value < drop or not is_significant(last.last, before.last):
        return None
    return earlier - value


@detector(
    sample="responses of the month",
    advice="Read the comments of the month, the detractors first; answer each, and see which theme is new.",
    fires=Example(
        "critical",
        "NPS fell to 0 in 2026-02 (100 responses), 40 points below the three months before. It fires from 5 points, when that is "
        "more than chance.",
        inputs(
            last=months(_nps(40, 40, 100)),
            before=one_period(_nps(180, 60, 300), count=3),
            rows=[row("acme", detractors=2), row("globex", detractors=0)],
        ),
    ),
    quiet=inputs(
        last=months(_nps(50, 20, 100)), before=one_period(_nps(165, 60, 300), count=3), rows=[row("acme", detractors=2)]
    ),
)
def nps_drop(
    last: Series = history("nps", months=1),
    before: Series = history("nps", months=3, skip=1, as_one=True),
    rows: Sequence[AccountRow] = account_rows(detractors=flow_of_month("nps_detractors")),
    *,
    drop: float = threshold(5, "points", "Fall from which it fires."),
    severe: float = threshold(20, "points", "Fall from which it is critical."),
) -> Iterator[Finding]:
    """NPS drop: NPS of the last month is below that of the three months before, by more than chance.

    The z test at 95%, two-sided, of the difference of two scores: (m1 − m2) ÷ √(v1 + v2), where m is the mean of responses
    counted as 1, 0 and −1, and v the variance of that mean, both with the three responses that the interval of an NPS adds. Few
    responses have a large variance, so a handful of them does not fire.
    """
    fall = _fall(last, before, drop=drop)
    if fall is None or last.last.value is None:
        return
    accounts = sorted((own for own in rows if own.detractors > 0), key=lambda own: (-own.detractors, own.account))
    yield Finding(
        "critical" if fall >= severe else "warning",
        f"NPS fell to {number(last.last.value)} in {last.period.name} ({plural(last.last.sample_size or 0, 'response')}), "
        f"{number(fall)} points below the three months before. It fires from {number(drop)} points, when that is more than "
        "chance.",
        last.period,
        last.last.sample_size,
        last.question,
        [AccountDetail(own.account, plural(own.detractors, "detractor")) for own in accounts],
    )


@detector(
    sample="responses of the month",
    advice="Compare the channels and surveys (`group_by=subject,channel`): a drop is often one team or one form.",
    fires=Example(
        "warning",
        "CSAT fell to 80% in 2026-02 (100 responses), 10 points below the three months before. It fires from 5 points, when that "
        "is more than chance.",
        inputs(last=months(_csat(80, 100)), before=one_period(_csat(270, 300), count=3)),
    ),
    quiet=inputs(last=months(_csat(84, 100)), before=one_period(_csat(270, 300), count=3)),
)
def csat_drop(
    last: Series = history("csat", months=1),
    before: Series = history("csat", months=3, skip=1, as_one=True),
    *,
    drop: float = threshold(5, "points", "Fall from which it fires."),
    severe: float = threshold(20, "points", "Fall from which it is critical."),
) -> Iterator[Finding]:
    """CSAT drop: fewer responses of the last month are satisfied than of the three months before, by more than chance.

    In the two-sided z test of two proportions at 95%.
    """
    fall = _fall(last, before, drop=drop)
    if fall is None or last.last.value is None:
        return
    yield Finding(
        "critical" if fall >= severe else "warning",
        f"CSAT fell to {percent(last.last.value)} in {last.period.name} ({plural(last.last.sample_size or 0, 'response')}), "
        f"{number(fall)} points below the three months before. It fires from {number(drop)} points, when that is more than "
        "chance.",
        last.period,
        last.last.sample_size,
        last.question,
    )


def _open_items(count: int, days: int) -> OpenItems:
    oldest = OpenItem("comment-1", "acme", datetime(2026, 3, 1, tzinfo=UTC), days)
    return OpenItems(count, [OpenAccount(count, oldest)], "/v1/feedback?class=detractor&status=open")


@detector(
    sample="",
    advice="Answer the oldest first, and set its status: `PATCH /v1/feedback/{id}`.",
    fires=Example(
        "warning",
        "3 comments of detractors have no answer, the oldest for 8 days. It fires from 7 days.",
        inputs(items=_open_items(3, 8), at=MOMENT),
    ),
    quiet=inputs(items=_open_items(3, 6), at=MOMENT),
)
def detractors_unanswered(
    items: OpenItems = offer("open_detractors", "comments of detractors with the status `open`"),
    at: Moment = moment(),
    *,
    oldest_days: float = threshold(7, "days", "Age of the oldest from which it fires."),
    severe: float = threshold(30, "days", "Age of the oldest from which it is critical."),
) -> Iterator[Finding]:
    """Detractors unanswered: somebody was unhappy and said why, and nobody has reacted.

    A comment is answered once it has another status than `open`.
    """
    if items.oldest is None or items.oldest.days < oldest_days:
        return
    waiting = items.oldest.days
    severity: Severity = "critical" if waiting >= severe else "warning"
    yield Finding(
        severity,
        f"{plural(items.count, 'comment')} of detractors {'has' if items.count == 1 else 'have'} no answer, the oldest for "
        f"{plural(waiting, 'day')}. It fires from {plural(int(oldest_days), 'day')}.",
        at.last_days(max(1, waiting)),
        None,
        items.link or f"/v1/scorecard?as_of={at.today}",
        [
            AccountDetail(
                own.oldest.account_id,
                f"{plural(own.count, 'comment')}, the oldest for {plural(own.oldest.days, 'day')}: {own.oldest.id}",
            )
            for own in items.accounts
        ],
    )
