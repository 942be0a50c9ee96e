"""Detectors of trials: whether those who try the product use it."""

from collections.abc import Iterator, Sequence

from app.insights.define import AccountDetail, Example, Finding, detector, inputs, threshold
from app.insights.examples import MOMENT, row
from app.insights.sources import AccountRow, Moment, account_rows, balance, flow_of_days, moment
from app.metrics.phrases import percent, plural, share


def _trial(account: str, *, recent: int) -> AccountRow:
    return row(account, started=1, started_before=1, ended=0, recent=recent)


@detector(
    sample="accounts with a trial that runs",
    advice="Write to those who stopped: most trials that are lost are lost in the first two weeks, at one step of the setup.",
    fires=Example(
        "notice",
        "3 of 10 accounts with a running trial had no active user in the last 14 days (30%). It fires from 30%.",
        inputs(rows=[_trial(f"trial-{n}", recent=int(n >= 3)) for n in range(10)], at=MOMENT),
    ),
    quiet=inputs(rows=[_trial(f"trial-{n}", recent=int(n >= 2)) for n in range(10)], at=MOMENT),
)
def trials_stalling(
    rows: Sequence[AccountRow] = account_rows(
        started=balance("trials_started"),
        started_before=balance("trials_started", days_ago=14),
        ended=balance("trials_ended"),
        recent=flow_of_days("active_users_day", 14),
    ),
    at: Moment = moment(),
    *,
    material: float = threshold(30, "percent", "Share of running trials from which it fires."),
    severe: float = threshold(60, "percent", "Share from which it is a warning."),
) -> Iterator[Finding]:
    """Trials stalling: many trials run, but nobody tries anything.

    A trial runs from `trial.started` until it converts or expires. It stalls when it was started more than 14 days ago and no
    user of its account was active since. While no account at all is active, usage is probably not sent, and there is
    no insight.
    """
    running = [own for own in rows if own.started > own.ended]
    accounts = [own for own in running if own.started_before > own.ended and not own.recent]
    part = share(len(accounts), len(running))
    if not accounts or part < material or not any(own.recent for own in rows):
        return
    accounts.sort(key=lambda own: own.account)
    yield Finding(
        "warning" if part >= severe else "notice",
        f"{len(accounts):,} of {plural(len(running), 'account')} with a running trial had no active user in the last 14 days "
        f"({percent(part)}). It fires from {percent(material)}.",
        at.last_days(14),
        len(running),
        at.path("trial_conversion_rate", at.last_days(90).start, at.today, granularity="total", group_by="account"),
        [AccountDetail(own.account, "no active user") for own in accounts],
        narrows_question=True,
    )
