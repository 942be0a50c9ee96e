"""Detectors of usage: silence, features and seats."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from app.insights.define import AccountDetail, Example, Finding, detector, inputs, threshold
from app.insights.examples import MOMENT, days, months, row
from app.insights.sources import (
    AccountRow,
    Moment,
    Series,
    account_rows,
    balance,
    balance_of_month,
    flow_of_days,
    history,
    history_by_subject,
    moment,
    users_of_month,
)
from app.ledger.money import MONEY_SCALE
from app.metrics.compare import is_significant
from app.metrics.phrases import money, number, percent, plural, share
from app.metrics.results import count, proportion

_MRR = 100 * MONEY_SCALE
# Weeks are compared at the same days, so that weekends and days of rest do not look like silence.
_WEEK = 7
_LAST_DAYS = 3


def _seats_row(account: str, *, mrr: int = _MRR, seats: int, users: int, now: int = 20, before: int = 20) -> AccountRow:
    """Return a row with the seats at the end of the month, before it and now, and the active users of the month."""
    return row(account, mrr=mrr, seats_before=before, seats=seats, seats_now=now, users=users, activity=9)


def _silent_row(account: str, *, recent: int, weeks: Sequence[int]) -> AccountRow:
    """Return a row with the activity of the last two weeks and, the latest first, of the four fortnights before."""
    names = ("before_1", "before_2", "before_3", "before_4")
    return row(account, mrr=_MRR, recent=recent, **dict(zip(names, weeks, strict=True)))


@detector(
    sample="active user-days in the eight weeks before, of the account with the fewest",
    advice="Ask whether the people whom you know are still there. An owner who has left, or a holiday, explains most silences.",
    fires=Example(
        "critical",
        "1 customer with MRR of 100.00 USD (50% of all) had no active user in the last 14 days, after some in each of the four "
        "fortnights before. It fires from 10 active user-days before.",
        inputs(
            rows=[
                _silent_row("acme", recent=0, weeks=(3, 3, 3, 3)),
                _silent_row("globex", recent=1, weeks=(3, 3, 3, 3)),
            ],
            at=MOMENT,
        ),
    ),
    quiet=inputs(
        rows=[_silent_row("acme", recent=0, weeks=(3, 3, 2, 1)), _silent_row("globex", recent=1, weeks=(3, 3, 3, 3))],
        at=MOMENT,
    ),
)
def account_gone_silent(
    rows: Sequence[AccountRow] = account_rows(
        mrr=balance("mrr"),
        recent=flow_of_days("active_users_day", 14),
        before_1=flow_of_days("active_users_day", 14, skip=14),
        before_2=flow_of_days("active_users_day", 14, skip=28),
        before_3=flow_of_days("active_users_day", 14, skip=42),
        before_4=flow_of_days("active_users_day", 14, skip=56),
    ),
    at: Moment = moment(),
    *,
    fewest: float = threshold(10, "active user-days", "Activity in the eight weeks before that makes a baseline."),
    severe: float = threshold(10, "percent", "Share of all MRR from which it is critical."),
) -> Iterator[Finding]:
    """Account gone silent: customers that used the product regularly do not use it any more.

    Regularly means in each of the four fortnights before. An account that never used it, or now and then, does not count, and
    while no account at all is active, usage is not sent (see `usage_stopped`).
    """
    accounts = [
        own for own in rows if own.mrr > 0 and not own.recent and all(_before(own)) and sum(_before(own)) >= fewest
    ]
    if not accounts or not any(own.recent for own in rows):
        return
    accounts.sort(key=lambda own: (-own.mrr, own.account))
    mrr = sum(own.mrr for own in accounts)
    part = share(mrr, sum(own.mrr for own in rows))
    yield Finding(
        "critical" if part >= severe else "warning",
        f"{plural(len(accounts), 'customer')} with MRR of {money(mrr, at.currency)} ({percent(part)} of all) had no active user "
        f"in the last 14 days, after some in each of the four fortnights before. It fires from {number(fewest)} active user-days "
        "before.",
        at.last_days(14),
        min(sum(_before(own)) for own in accounts),
        at.path("active_user_days", at.last_days(70).start, at.today, granularity="week", group_by="account"),
        [AccountDetail(own.account, f"MRR {money(own.mrr, at.currency)}") for own in accounts],
        narrows_question=True,
    )


def _before(own: AccountRow) -> list[int]:
    return [own.before_1, own.before_2, own.before_3, own.before_4]


_FOUR_WEEKS = [count(10)] * 28


@detector(
    sample="active user-days on the same three days of the four weeks before",
    advice="Check whether the product still sends its events: `csmetrics_ingest_events_accepted_total` of `/metrics/prometheus`.",
    fires=Example(
        "critical",
        "No user at all was active in the last 3 days, after 120 active user-days on the same days of the four weeks before. It "
        "fires from 20.",
        inputs(activity=days(*_FOUR_WEEKS, count(0), count(0), count(0))),
    ),
    quiet=inputs(activity=days(*_FOUR_WEEKS, count(0), count(0), count(1))),
)
def usage_stopped(
    activity: Series = history("active_user_days", days=4 * _WEEK + _LAST_DAYS),
    *,
    fewest: float = threshold(20, "active user-days", "Activity on the same days of four weeks that makes a baseline."),
) -> Iterator[Finding]:
    """Usage stopped: nobody is active any more, which is rather a fault of the data than of the customers.

    The last three complete days without any activity, though there was some on the same days of each of the four weeks before.
    """
    values = [int(point.result.value or 0) for point in activity.points]
    weeks = [sum(values[-_LAST_DAYS - _WEEK * number : len(values) - _WEEK * number]) for number in range(5)]
    if weeks[0] or not all(weeks[1:]) or sum(weeks[1:]) < fewest:
        return
    yield Finding(
        "critical",
        f"No user at all was active in the last {_LAST_DAYS} days, after {sum(weeks[1:]):,} active user-days on the same days of "
        f"the four weeks before. It fires from {number(fewest)}.",
        activity.period._replace(name=f"last_{_LAST_DAYS}_days", start=activity.points[-_LAST_DAYS].period.start),
        sum(weeks[1:]),
        activity.question,
    )


def _adoption(*users: int) -> Series:
    return months(*(proportion(own, of=100, if_empty="no_active_users") for own in users))


@detector(
    sample="users of the feature a month before, their median",
    advice="Look for a release or a price change in that month, and ask three users who stopped.",
    fires=Example(
        "notice",
        "export had 24 users in 2026-02, 40% less than the median of the three months before (40). It fires from 30%, when the "
        "adoption rate fell by more than chance.",
        inputs(features={"export": _adoption(40, 41, 40, 24)}),
    ),
    quiet=inputs(features={"export": _adoption(40, 41, 40, 29)}),
)
def feature_losing_users(
    features: Mapping[str, Series] = history_by_subject("feature_adoption_rate", months=4),
    *,
    drop: float = threshold(30, "percent", "Loss of users from which it fires."),
    severe: float = threshold(50, "percent", "Loss from which it is a warning."),
    limit: float = threshold(5, "features", "Features that are reported, those with the largest losses."),
) -> Iterator[Finding]:
    """Feature losing users: far fewer users than before used a feature in the last month.

    Against the median of the three months before, and the feature's share of all active users has to have fallen below that of
    the month before by more than chance: in the two-sided z test of two proportions at 95%. So a month in which everybody was
    away says nothing about a feature.
    """
    losses: list[tuple[float, float, str]] = []
    for feature, series in features.items():
        usual = median(own.numerator or 0 for own in series.earlier)
        users = series.last.numerator or 0
        loss = share(usual - users, usual)
        has_fallen = (series.last.value or 0) < (series.earlier[-1].value or 0)
        if loss >= drop and has_fallen and is_significant(series.last, series.earlier[-1]):
            losses.append((usual - users, loss, feature))
    for _, loss, feature in sorted(losses, key=lambda own: (-own[0], own[2]))[: int(limit)]:
        series = features[feature]
        usual = median(own.numerator or 0 for own in series.earlier)
        yield Finding(
            "warning" if loss >= severe else "notice",
            f"{feature} had {plural(int(series.last.numerator or 0), 'user')} in {series.period.name}, {percent(loss)} less than "
            f"the median of the three months before ({number(usual)}). It fires from {percent(drop)}, when the adoption rate "
            "fell by more than chance.",
            series.period,
            int(usual),
            series.question,
            subject=feature,
        )


@detector(
    sample="seats of these customers",
    advice="Offer training before the renewal does the counting; seats that nobody uses are the first to be canceled.",
    fires=Example(
        "notice",
        "1 customer with 20 seats had 5 active users in 2026-02 (25% of its seats). It fires below 30%, from 10 seats.",
        inputs(
            rows=[
                _seats_row("acme", seats=20, users=5),
                _seats_row("globex", mrr=9 * _MRR, seats=20, users=15),
            ],
            at=MOMENT,
        ),
    ),
    quiet=inputs(
        rows=[
            _seats_row("acme", seats=20, users=6),
            _seats_row("initech", seats=20, users=5, now=16),
            _seats_row("umbrella", seats=20, users=0, before=0),
            row("globex", mrr=9 * _MRR, seats_before=20, seats=20, seats_now=20, users=0, activity=0),
        ],
        at=MOMENT,
    ),
)
def seats_unused(
    rows: Sequence[AccountRow] = account_rows(
        mrr=balance("mrr"),
        seats_before=balance_of_month("seats", opening=True),
        seats=balance_of_month("seats"),
        seats_now=balance("seats"),
        users=users_of_month("active_users"),
        activity=flow_of_days("active_users_day", 90),
    ),
    at: Moment = moment(),
    *,
    used: float = threshold(30, "percent", "Seats in use below which it fires."),
    fewest: float = threshold(10, "seats", "Seats of an account from which it counts."),
    severe: float = threshold(20, "percent", "Share of all MRR from which it is a warning."),
) -> Iterator[Finding]:
    """Seats unused: customers pay for many more seats than people use.

    Active users of the last month against the seats at its end and those of now. Who had no seats before that month is still
    inviting people, and does not count; nor does a customer without any activity in 90 days: its usage is probably not sent.
    """
    customers = [own for own in rows if own.mrr > 0 and own.activity and own.seats_before > 0]
    accounts = [own for own in customers if _has_unused_seats(own, used=used, fewest=fewest)]
    if not accounts:
        return
    accounts.sort(key=lambda own: (own.users - own.seats, own.account))
    seats, users = sum(own.seats for own in accounts), sum(own.users for own in accounts)
    mrr_share = share(sum(own.mrr for own in accounts), sum(own.mrr for own in rows))
    owner = "its" if len(accounts) == 1 else "their"
    yield Finding(
        "warning" if mrr_share >= severe else "notice",
        f"{plural(len(accounts), 'customer')} with {seats:,} seats had {plural(users, 'active user')} in {at.month.name} "
        f"({percent(share(users, seats))} of {owner} seats). It fires below {percent(used)}, from {number(fewest)} seats.",
        at.month,
        seats,
        at.month_path("product_usage_rate", granularity="month", group_by="account"),
        [
            AccountDetail(own.account, f"{plural(own.users, 'active user')} of {plural(own.seats, 'seat')}")
            for own in accounts
        ],
        narrows_question=True,
    )


def _has_unused_seats(own: AccountRow, *, used: float, fewest: float) -> bool:
    """Return whether few of the seats are used, of those of the month and of those of now."""
    seats = min(own.seats, own.seats_now)
    return bool(seats >= fewest and share(own.users, seats) < used)
