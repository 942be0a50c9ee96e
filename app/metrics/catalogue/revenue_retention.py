"""What stays of revenue: churn, expansion and retention of the MRR that opening customers brought."""

from app.metrics.catalogue.retention import M0, M1, STAYED
from app.metrics.catalogue.revenue import GREW, NO_CUSTOMERS, SHRANK
from app.metrics.define import Result, metric, money_rate, opening, over_accounts

MRR_LOST = over_accounts(M0 - M1, where=(M0 > 0) & (M0 > M1))
MRR_GAINED = over_accounts(M1 - M0, where=(M0 > 0) & (M1 > M0))

# Of 300.00 of three customers, one shrinks by 20.00 and one grows by 30.00.
SOME_MOVED = [*STAYED, SHRANK._replace(account="one"), GREW._replace(account="two")]
MOVED = {"mrr_lost": 200_000, "mrr_gained": 300_000, "mrr": 3_000_000, "customers": 3}
MOVEMENTS = {
    "mrr_churned": 0,
    "mrr_contraction": 200_000,
    "mrr_expansion": 300_000,
    "mrr": 3_000_000,
    "customers": 3,
}


@metric(
    unit="percent",
    better="down",
    range=(0, 100),
    example={"mrr_lost": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 20 / 3},
    events=SOME_MOVED,
    convention="capped_per_customer",
    counted_by="Mattermost; Baremetrics since it capped a loss at the opening MRR.",
)
def gross_mrr_churn_rate(
    mrr_lost: int = MRR_LOST, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Gross MRR churn rate: what opening customers lost or were downgraded by, each by its net, per hundred of their MRR."""
    return money_rate(mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


@gross_mrr_churn_rate.also(
    "movements",
    counted_by="ChartMogul in its older article: churn and contraction, whoever came back.",
    range=(0, None),
    example={"mrr_churned": 0, "mrr_contraction": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 20 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int, mrr_contraction: int, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """All churn and contraction of the period, per hundred of the opening MRR; nothing is capped, and it may exceed 100."""
    return money_rate(mrr_churned + mrr_contraction, of=mrr, sample=customers, none=NO_CUSTOMERS)


@gross_mrr_churn_rate.also(
    "capped_on_totals",
    counted_by="Chargebee, which takes the smaller of two totals.",
    example=MOVED | {"equals": 0},
    events=SOME_MOVED,
)
def _(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """What opening customers lost on the whole: what one of them adds makes up for what another one loses."""
    return money_rate(max(0, mrr_lost - mrr_gained), of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example={"mrr_gained": 300_000, "mrr": 3_000_000, "customers": 3, "equals": 10},
    events=SOME_MOVED,
)
def expansion_mrr_rate(
    mrr_gained: int = MRR_GAINED, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Expansion MRR rate: what opening customers added, each by its net, per hundred of their MRR."""
    return money_rate(mrr_gained, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="down",
    range=(None, 100),
    example=MOVED | {"equals": -10 / 3},
    events=SOME_MOVED,
    convention="opening_customers",
    counted_by="ChartMogul in its cohorts: a customer of the start, at the end.",
)
def net_mrr_churn_rate(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net MRR churn rate: gross churn less expansion of the opening customers; negative where they grew on the whole."""
    return money_rate(mrr_lost - mrr_gained, of=mrr, sample=customers, none=NO_CUSTOMERS)


@net_mrr_churn_rate.also(
    "with_reactivation",
    counted_by="ChartMogul: churn and contraction less expansion and reactivation.",
    range=(None, None),
    example=MOVEMENTS | {"mrr_reactivated": 0, "equals": -10 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int,
    mrr_contraction: int,
    mrr_expansion: int,
    mrr_reactivated: int,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Churn and contraction of the period less expansion and reactivation, of whomever, per hundred of the opening MRR."""
    net = mrr_churned + mrr_contraction - mrr_expansion - mrr_reactivated
    return money_rate(net, of=mrr, sample=customers, none=NO_CUSTOMERS)


@net_mrr_churn_rate.also(
    "without_reactivation",
    counted_by="ChartMogul in its chart of net revenue retention, and bruin.",
    range=(None, None),
    example=MOVEMENTS | {"equals": -10 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int,
    mrr_contraction: int,
    mrr_expansion: int,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Churn and contraction of the period less expansion, of whomever, per hundred of the opening MRR."""
    net = mrr_churned + mrr_contraction - mrr_expansion
    return money_rate(net, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example=MOVED | {"equals": 310 / 3},
    events=SOME_MOVED,
    convention="opening_customers",
    counted_by="ChartMogul in its cohorts: a customer of the start, at the end.",
)
def nrr(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net revenue retention: what the opening customers bring at the end, per hundred of what they brought at the start."""
    return money_rate(mrr + mrr_gained - mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


@nrr.also(
    "with_reactivation",
    counted_by="What is left of 100 when ChartMogul takes off its net MRR churn.",
    range=(None, None),
    example=MOVEMENTS | {"mrr_reactivated": 0, "equals": 310 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int,
    mrr_contraction: int,
    mrr_expansion: int,
    mrr_reactivated: int,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """The opening MRR with expansion and reactivation, less contraction and churn of the period, per hundred of it."""
    net = mrr_churned + mrr_contraction - mrr_expansion - mrr_reactivated
    return money_rate(mrr - net, of=mrr, sample=customers, none=NO_CUSTOMERS)


@nrr.also(
    "without_reactivation",
    counted_by="ChartMogul in its chart of net revenue retention, and bruin.",
    range=(None, None),
    example=MOVEMENTS | {"equals": 310 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int,
    mrr_contraction: int,
    mrr_expansion: int,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """The opening MRR with expansion, less contraction and churn of the period, per hundred of it."""
    net = mrr_churned + mrr_contraction - mrr_expansion
    return money_rate(mrr - net, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"mrr_lost": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 280 / 3},
    events=SOME_MOVED,
    convention="capped_per_customer",
    counted_by="Mattermost; Baremetrics since it capped a loss at the opening MRR.",
)
def grr(mrr_lost: int = MRR_LOST, mrr: int = opening("mrr"), customers: int = opening("customers")) -> Result:
    """Gross revenue retention: the same without what they added: at most 100."""
    return money_rate(mrr - mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


@grr.also(
    "movements",
    counted_by="What is left of 100 when ChartMogul's older gross MRR churn is taken off.",
    range=(None, 100),
    example={"mrr_churned": 0, "mrr_contraction": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 280 / 3},
    events=SOME_MOVED,
)
def _(
    mrr_churned: int, mrr_contraction: int, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """The opening MRR less all churn and contraction of the period, per hundred of it; nothing is capped."""
    return money_rate(mrr - mrr_churned - mrr_contraction, of=mrr, sample=customers, none=NO_CUSTOMERS)


@grr.also(
    "capped_on_totals",
    counted_by="Chargebee, which takes the smaller of two totals.",
    example=MOVED | {"equals": 100},
    events=SOME_MOVED,
)
def _(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """What opening customers bring on the whole, at most what they brought at the start: one's gain hides another's loss."""
    return money_rate(mrr - max(0, mrr_lost - mrr_gained), of=mrr, sample=customers, none=NO_CUSTOMERS)
