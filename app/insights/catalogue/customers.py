"""Detectors of customers: churn and overdue renewals."""

from collections.abc import Iterator, Sequence

from app.insights.define import AccountDetail, Example, Finding, detector, inputs, threshold
from app.insights.examples import MOMENT, months, row
from app.insights.sources import (
    AccountRow,
    Moment,
    Series,
    account_rows,
    balance,
    flow_of_days,
    flow_of_month,
    history,
    moment,
)
from app.ledger.money import MONEY_SCALE
from app.metrics.phrases import money, number, percent, plural, share
from app.metrics.results import Result, proportion
from app.metrics.statistics import proportions_differ


def _churn(leavers: int, customers: int) -> Result:
    return proportion(leavers, of=customers, if_empty="no_customers")


_QUIET_MONTHS = [_churn(1, 100)] * 6
_LEAVER = row("globex", mrr=500 * MONEY_SCALE, leavers=1)


@detector(
    sample="customers at the start of the month",
    advice="Read the reasons of the cancellations, and look for what those who left have in common: plan, age, last tickets.",
    fires=Example(
        "warning",
        "6% of customers (6 of 100) left in 2026-02, against 1% a month in the six months before. It fires from 3%, when that is "
        "more than chance.",
        inputs(churn=months(*_QUIET_MONTHS, _churn(6, 100)), leavers=[_LEAVER], at=MOMENT),
    ),
    quiet=inputs(churn=months(*[_churn(1, 1000)] * 6, _churn(29, 1000)), leavers=[_LEAVER], at=MOMENT),
)
def churn_spike(
    churn: Series = history("customer_churn_rate", months=7),
    leavers: Sequence[AccountRow] = account_rows(
        mrr=flow_of_month("mrr_churned"), leavers=flow_of_month("customers_churned")
    ),
    at: Moment = moment(),
    *,
    material: float = threshold(3, "percent", "Churn of the month from which it fires."),
    severe: float = threshold(10, "percent", "Churn of the month from which it is critical."),
) -> Iterator[Finding]:
    """Churn spike: the last month lost more customers than the six months before.

    The churn of the month has to be material, and above that of the six months together by more than chance: in the two-sided z
    test of two proportions at 95%, with the customers at the start of each month as observations.
    """
    rate = churn.last
    left, customers, had_left, had_customers = _counts(churn)
    if rate.value is None or rate.value < material or not had_customers:
        return
    if left * had_customers <= had_left * customers or not proportions_differ(left, customers, had_left, had_customers):
        return
    accounts = sorted((own for own in leavers if own.leavers > 0), key=lambda own: (-own.mrr, own.account))
    yield Finding(
        "critical" if rate.value >= severe else "warning",
        f"{percent(rate.value)} of customers ({left:,} of {customers:,}) left in {churn.period.name}, against "
        f"{percent(share(had_left, had_customers))} a month in the six months before. It fires from {percent(material)}, when "
        "that is more than chance.",
        churn.period,
        rate.sample_size,
        churn.question,
        [AccountDetail(own.account, f"MRR lost: {money(own.mrr, at.currency)}") for own in accounts],
    )


def _counts(churn: Series) -> tuple[int, int, int, int]:
    """Return who left and how many there were: in the last month, and in all months before together."""

    def counts(results: Sequence[Result]) -> tuple[int, int]:
        parts, wholes = ([int(getattr(own, name) or 0) for own in results] for name in ("numerator", "denominator"))
        return sum(parts), sum(wholes)

    return *counts([churn.last]), *counts(churn.earlier)


@detector(
    sample="",
    advice="Ask the owner of each account for the state of the renewal, and talk to a user who was active before.",
    fires=Example(
        "warning",
        "1 customer with MRR of 500.00 USD (5% of all) has a contract that was due in the last 30 days and is not renewed, and "
        "no active user in the last 14 days. It fires from 1 customer.",
        inputs(
            rows=[
                row("acme", mrr=500 * MONEY_SCALE, due=1, renewed=0, recent=0),
                row("globex", mrr=9_500 * MONEY_SCALE, due=1, renewed=0, recent=1),
            ],
            at=MOMENT,
        ),
    ),
    quiet=inputs(
        rows=[
            row("acme", mrr=500 * MONEY_SCALE, due=1, renewed=1, recent=0),
            row("globex", mrr=9_500 * MONEY_SCALE, due=1, renewed=0, recent=1),
        ],
        at=MOMENT,
    ),
)
def renewals_without_activity(
    rows: Sequence[AccountRow] = account_rows(
        mrr=balance("mrr"),
        due=flow_of_days("contracts_due", 30),
        renewed=flow_of_days("contracts_renewed", 30),
        recent=flow_of_days("active_users_day", 14),
    ),
    at: Moment = moment(),
    *,
    fewest: float = threshold(1, "customers", "Customers from which it fires."),
    severe: float = threshold(10, "percent", "Share of all MRR from which it is critical."),
) -> Iterator[Finding]:
    """Renewals without activity: contracts were due, are not renewed, and nobody of the account uses the product.

    A contract is due on the day of its `renewal.due`. Of customers only: an account without MRR has left already. While no
    account at all is active, usage is probably not sent, and there is no insight.
    """
    accounts = [own for own in rows if own.mrr > 0 and own.due > own.renewed and not own.recent]
    if len(accounts) < fewest or not any(own.recent for own in rows):
        return
    accounts.sort(key=lambda own: (-own.mrr, own.account))
    mrr = sum(own.mrr for own in accounts)
    part = share(mrr, sum(own.mrr for own in rows))
    period = at.last_days(30)
    yield Finding(
        "critical" if part >= severe else "warning",
        f"{plural(len(accounts), 'customer')} with MRR of {money(mrr, at.currency)} ({percent(part)} of all) "
        f"{'has' if len(accounts) == 1 else 'have'} a contract that was due in the last 30 days and is not renewed, and no "
        f"active user in the last 14 days. It fires from {plural(int(fewest), 'customer')}.",
        period,
        None,
        at.path("renewal_rate", period.start, period.end, granularity="total", group_by="account"),
        [
            AccountDetail(own.account, f"MRR {money(own.mrr, at.currency)}, due: {number(own.due - own.renewed)}")
            for own in accounts
        ],
        narrows_question=True,
    )
