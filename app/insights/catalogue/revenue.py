"""Detectors of revenue: retention of MRR, its concentration, and numbers that changed later."""

from collections.abc import Iterator, Sequence
from statistics import median

from app.insights.define import AccountDetail, Example, Finding, detector, inputs, threshold
from app.insights.examples import MOMENT, months, one_period, row
from app.insights.sources import AccountRow, Moment, Series, account_rows, balance, flow_of_month, history, moment
from app.ledger.money import MONEY_SCALE
from app.metrics.phrases import money, number, percent, plural, share
from app.metrics.results import Amount, Result, money_rate
from app.metrics.results import money as money_result

_DAYS_AGO = 30


def _rate(percent: int, *, sample: int = 50) -> Result:
    return money_rate(percent, of=100, sample=sample, if_empty="no_customers")


def _mrr(amount: int) -> Result:
    return money_result(amount * MONEY_SCALE)


@detector(
    sample="customers at the start of the twelve months",
    advice="See whether churn or contraction weighs more (`GET /v1/query?metrics=mrr_churned,mrr_contraction,mrr_expansion`), "
    "and which plans lose.",
    fires=Example(
        "warning",
        "NRR of the last twelve months is 97%: customers of then pay less than a year ago. It fires below 100%.",
        inputs(nrr=one_period(_rate(97), count=12)),
    ),
    quiet=inputs(nrr=one_period(_rate(100), count=12)),
)
def nrr_under_100(
    nrr: Series = history("nrr", months=12, as_one=True),
    *,
    whole: float = threshold(100, "percent", "NRR below which it fires."),
    severe: float = threshold(90, "percent", "NRR below which it is critical."),
) -> Iterator[Finding]:
    """NRR under 100%: customers of a year ago pay less than then, with all their expansion.

    NRR of twelve complete months together, as it is usually reported. A company without customers a year ago has none.
    """
    value = nrr.last.value
    if value is None or value >= whole:
        return
    yield Finding(
        "critical" if value < severe else "warning",
        f"NRR of the last twelve months is {percent(value)}: customers of then pay less than a year ago. It fires below "
        f"{percent(whole)}.",
        nrr.period,
        nrr.last.sample_size,
        nrr.question,
    )


_USUAL_MONTHS = [_rate(98), _rate(97), _rate(99), _rate(98), _rate(98), _rate(98)]
_DOWNGRADE = row("acme", churned=0, contraction=700 * MONEY_SCALE)


@detector(
    sample="customers at the start of the month",
    advice="Talk to the accounts with the largest losses first: a downgrade is often followed by a cancellation.",
    fires=Example(
        "warning",
        "GRR fell to 92% in 2026-02, 6 points below its median of the six months before (98%). It fires from 5 points.",
        inputs(grr=months(*_USUAL_MONTHS, _rate(92)), losses=[_DOWNGRADE], at=MOMENT),
    ),
    quiet=inputs(grr=months(*_USUAL_MONTHS, _rate(94)), losses=[_DOWNGRADE], at=MOMENT),
)
def grr_drop(
    grr: Series = history("grr", months=7),
    losses: Sequence[AccountRow] = account_rows(
        churned=flow_of_month("mrr_churned"), contraction=flow_of_month("mrr_contraction")
    ),
    at: Moment = moment(),
    *,
    drop: float = threshold(5, "points", "Fall below the median from which it fires."),
    severe: float = threshold(10, "points", "Fall from which it is critical."),
    fewest: float = threshold(3, "months", "Months before that need a value."),
) -> Iterator[Finding]:
    """GRR drop: the last month kept less of its MRR than the months before.

    GRR of the month against the median of the six months before it, so that one bad month among them does not hide another.
    """
    value, usual = grr.last.value, [own.value for own in grr.earlier if own.value is not None]
    if value is None or len(usual) < fewest or (fall := median(usual) - value) < drop:
        return
    accounts = sorted(
        (own for own in losses if own.churned + own.contraction > 0),
        key=lambda own: (-own.churned - own.contraction, own.account),
    )
    yield Finding(
        "critical" if fall >= severe else "warning",
        f"GRR fell to {percent(value)} in {grr.period.name}, {number(fall)} points below its median of the six months before "
        f"({percent(median(usual))}). It fires from {number(drop)} points.",
        grr.period,
        grr.last.sample_size,
        grr.question,
        [
            AccountDetail(own.account, f"MRR lost: {money(own.churned + own.contraction, at.currency)}")
            for own in accounts
        ],
    )


_SMALL_CUSTOMERS = [row(f"small-{number}", mrr=100 * MONEY_SCALE) for number in range(7)]


@detector(
    sample="customers",
    advice="Know the people of the account, the end of its contract and its health; what it pays is a risk of the whole company.",
    fires=Example(
        "notice",
        "One customer has 30% of all MRR (300.00 USD of 1000.00 USD). It fires from 25%.",
        inputs(rows=[row("acme", mrr=300 * MONEY_SCALE), *_SMALL_CUSTOMERS], at=MOMENT),
    ),
    quiet=inputs(rows=[row("acme", mrr=230 * MONEY_SCALE), *_SMALL_CUSTOMERS], at=MOMENT),
)
def mrr_concentration(
    rows: Sequence[AccountRow] = account_rows(mrr=balance("mrr")),
    at: Moment = moment(),
    *,
    large: float = threshold(25, "percent", "Share of all MRR from which it fires."),
    severe: float = threshold(40, "percent", "Share from which it is a warning."),
) -> Iterator[Finding]:
    """MRR concentration: one customer pays a large part of everything.

    MRR at the end of yesterday.
    """
    customers = sorted((own for own in rows if own.mrr > 0), key=lambda own: (-own.mrr, own.account))
    total = sum(own.mrr for own in customers)
    if not customers or (part := share(customers[0].mrr, total)) < large:
        return
    yesterday = at.last_days(1)
    yield Finding(
        "warning" if part >= severe else "notice",
        f"One customer has {percent(part)} of all MRR ({money(customers[0].mrr, at.currency)} of {money(total, at.currency)}). "
        f"It fires from {percent(large)}.",
        yesterday,
        len(customers),
        at.path("mrr", yesterday.start, yesterday.end, list="contributors", granularity="day"),
        [
            AccountDetail(own.account, f"MRR {money(own.mrr, at.currency)} ({percent(share(own.mrr, total))})")
            for own in customers
            if share(own.mrr, total) >= large
        ],
    )


@detector(
    sample="",
    advice="The restatements name the days and the events behind the change; tell those who have reported the old number.",
    fires=Example(
        "notice",
        "MRR of 2026-02 is 980.00 USD now and was 1000.00 USD 30 days ago (−2%). It fires from 1%; 1 month has changed so.",
        inputs(earlier=months(_mrr(900), _mrr(1000)), now=months(_mrr(900), _mrr(980)), at=MOMENT),
    ),
    quiet=inputs(earlier=months(_mrr(900), _mrr(1000)), now=months(_mrr(900), _mrr(991)), at=MOMENT),
)
def restated_month(
    earlier: Series = history("mrr", months=12, days_ago=_DAYS_AGO, is_earlier=True),
    now: Series = history("mrr", months=12, days_ago=_DAYS_AGO),
    at: Moment = moment(),
    *,
    material: float = threshold(1, "percent", "Change of MRR from which it fires."),
    severe: float = threshold(5, "percent", "Change from which it is a warning."),
) -> Iterator[Finding]:
    """Restated month: MRR of a month that was closed 30 days ago is another one now.

    Of the twelve months that had ended 30 days ago: their MRR as it was known then, against what is known now. What had not been
    known at all then, such as a history that was imported later, is no change.
    """
    changes = [
        (_change(before, after), old, before, after)
        for old, new in zip(earlier.points, now.points, strict=True)
        if (before := old.result.amount) is not None and (after := new.result.amount) is not None and before != after
    ]
    material_changes = [own for own in changes if abs(own[0]) >= material]
    if not material_changes:
        return
    change, point, was, value = max(material_changes, key=lambda own: (abs(own[0]), own[1].period.start))
    yield Finding(
        "warning" if abs(change) >= severe else "notice",
        f"MRR of {point.period.name} is {money(value, at.currency)} now and was {money(was, at.currency)} {_DAYS_AGO} days "
        f"ago ({'+' if change > 0 else ''}{percent(change)}). It fires from {percent(material)}; "
        f"{plural(len(material_changes), 'month', 'has/have')} changed so.",
        point.period,
        None,
        at.path("mrr", point.period.start, point.period.end, list="restatements", granularity="month"),
    )


def _change(before: Amount, after: Amount) -> float:
    """Return the change as a percentage of the amount before, or 100 if there was none."""
    return 100 * float(after - before) / abs(float(before)) if before else 100.0
